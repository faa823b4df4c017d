import { describe, expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const stopEvent = (session_id: string): Record<string, unknown> => ({
  event_type: "session_stop",
  session_id,
  exit_code: 0,
  reason: "completed",
});

describe("POST /runs", () => {
  test("start_session creates the session with the fields of the run", async () => {
    await using c = await Fixture.start();
    await c.start({ session_id: "top" });
    await c.start({
      session_id: "mine",
      agent_name: "a",
      project_dir: "/p",
      parent_session_id: "top",
      execution_mode: "async_poll",
    });
    expect((await c.get("/sessions/mine")).body.session).toEqual({
      session_id: "mine",
      status: "pending",
      created_at: expect.any(String),
      project_dir: "/p",
      agent_name: "a",
      last_resumed_at: null,
      parent_session_id: "top",
      executor_session_id: null,
      executor_type: null,
      hostname: null,
      execution_mode: "async_poll",
      total_cost_usd: 0,
      num_turns: 0,
      input_tokens: 0,
      output_tokens: 0,
      run_ms: 0,
    });
  });

  test("start_session of an existing session is 409; resume of an unknown session 404, without an id 422", async () => {
    await using c = await Fixture.start();
    await c.start({ session_id: "s" });
    expect((await c.post("/runs", { type: "start_session", prompt: "x", session_id: "s" })).status).toBe(409);
    expect((await c.post("/runs", { type: "resume_session", prompt: "x", session_id: "other" })).status).toBe(404);
    expect((await c.post("/runs", { type: "resume_session", prompt: "x" })).status).toBe(422);
    expect((await c.get("/runs")).body.runs).toHaveLength(1);
  });

  test("with an unknown parent is 404, writes nothing and leaves the database writable", async () => {
    await using c = await Fixture.start();
    const answer = await c.post("/runs", {
      type: "start_session",
      prompt: "x",
      session_id: "s",
      parent_session_id: "nobody",
    });
    expect(answer.status).toBe(404);
    expect((await c.get("/runs")).body).toEqual({ runs: [] });
    expect(await c.sessionStatus("s")).toBe("not_existent");
    await c.start({ session_id: "s" });
    expect(
      (await c.post("/runs", { type: "resume_session", prompt: "x", session_id: "s", parent_session_id: "nobody" }))
        .status,
    ).toBe(404);
  });

  test("resume defaults to the session's agent and folder", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await c.start({ session_id: "s", agent_name: "a", project_dir: "/p" });
    await c.execute(runner, "completed");
    await c.resume("s");
    expect(await c.execute(runner, "completed")).toMatchObject({ agent_name: "a", project_dir: "/p" });
    await c.resume("s", { agent_name: "b", project_dir: "/q" });
    expect(await c.claim(runner)).toMatchObject({ agent_name: "b", project_dir: "/q" });
  });

  test("a resume by another parent moves the session to that parent", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    for (const session_id of ["p1", "p2"]) await c.start({ session_id });
    await c.execute(runner, "completed");
    await c.execute(runner, "completed");
    await c.start({ session_id: "child", parent_session_id: "p1" });
    await c.execute(runner, "completed");
    await c.resume("child", { parent_session_id: "p2", execution_mode: "async_poll" });
    await c.execute(runner, "completed");
    expect((await c.get("/sessions/child")).body.session).toMatchObject({
      parent_session_id: "p2",
      execution_mode: "async_poll",
    });
  });
});

describe("GET /runs", () => {
  test("filters by status, runner and session; with a limit lists the newest first", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push((await c.start({ session_id: `s${i}` })).run_id);
    await c.execute(runner, "completed");
    await c.claim(runner);
    const list = async (query: string): Promise<number[]> =>
      (await c.get(`/runs?${query}`)).body.runs.map((run: { run_id: string }) => ids.indexOf(run.run_id));
    expect(await list("")).toEqual([0, 1, 2, 3]);
    expect(await list("status=pending")).toEqual([2, 3]);
    expect(await list("status=claimed,completed")).toEqual([0, 1]);
    expect(await list("status=claimed,pending&limit=2")).toEqual([3, 2]);
    expect(await list("status=claimed,pending&limit=2&order=asc")).toEqual([1, 2]);
    expect(await list(`runner_id=${runner}&status=claimed`)).toEqual([1]);
    expect(await list(`runner_id=${runner}`)).toEqual([0, 1]);
    expect(await list(`runner_id=${runner}&status=completed,pending`)).toEqual([0]);
    expect(await list("session_id=s3")).toEqual([3]);
    expect(await list("session=s3&status=pending")).toEqual([3]);
    expect(await list("session=s3&status=claimed")).toEqual([]);
    expect(await list("limit=1")).toEqual([3]);
    expect((await c.get("/runs?status=odd")).status).toBe(422);
    for (const bad of ["limit=0", "limit=1001", "limit=x", "cursor=x", "order=up"])
      expect((await c.get(`/runs?${bad}`)).status).toBe(422);
    expect((await c.get("/runs/run_0")).status).toBe(404);
  });

  test("lists more runs than fit on one page", async () => {
    await using c = await Fixture.start();
    for (let i = 0; i < 26; i++) await Promise.all(Array.from({ length: 20 }, () => c.start()));
    const { runs } = (await c.get("/runs")).body;
    expect(runs).toHaveLength(520);
    expect(new Set(runs.map((run: { run_id: string }) => run.run_id)).size).toBe(520);
    expect((await c.get("/sessions")).body.sessions).toHaveLength(520);
  });
});

describe("session", () => {
  test("legacy POST /sessions creates a session; 409 for the same id, 404 for an unknown parent", async () => {
    await using c = await Fixture.start();
    expect(await c.post("/sessions", { session_id: "s" })).toMatchObject({
      status: 200,
      body: { ok: true, session: { session_id: "s", status: "pending" } },
    });
    expect((await c.post("/sessions", { session_id: "s" })).status).toBe(409);
    expect((await c.post("/sessions", { session_id: "t", parent_session_id: "u" })).status).toBe(404);
    expect((await c.get("/sessions")).body.sessions).toHaveLength(1);
  });

  test("bind sets the status running and stores the affinity; metadata changes fields; unknown is 404", async () => {
    await using c = await Fixture.start();
    await c.start({ session_id: "s", project_dir: "/p" });
    const bind = { executor_session_id: "e1", hostname: "h", executor_profile: "claude-code" };
    expect((await c.post("/sessions/s/bind", bind)).body).toMatchObject({
      ok: true,
      session: { status: "running", executor_session_id: "e1" },
    });
    expect((await c.call("PATCH", "/sessions/s/metadata", { hostname: "h2", agent_name: null })).body).toMatchObject({
      ok: true,
      session: { hostname: "h2" },
    });
    expect((await c.get("/sessions/s/affinity")).body).toEqual({
      affinity: {
        session_id: "s",
        executor_session_id: "e1",
        hostname: "h2",
        project_dir: "/p",
        executor_type: "claude-code",
      },
    });
    for (const answer of [
      await c.post("/sessions/x/bind", bind),
      await c.call("PATCH", "/sessions/x/metadata", {}),
      await c.get("/sessions/x/affinity"),
      await c.get("/sessions/x"),
      await c.get("/sessions/x/result"),
      await c.get("/sessions/x/events"),
      await c.call("DELETE", "/sessions/x"),
    ]) {
      expect(answer.status).toBe(404);
    }
    expect(await c.sessionStatus("x")).toBe("not_existent");
  });

  test("session_stop finishes the session; the result is the last assistant message", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start({ session_id: "s" });
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    await c.say("s", "first");
    await c.say("s", "last");
    expect((await c.get("/sessions/s/result")).status).toBe(400);
    await c.post("/sessions/s/events", stopEvent("s"));
    expect(await c.sessionStatus("s")).toBe("finished");
    expect((await c.get("/sessions/s/result")).body).toMatchObject({ result: "last" });
    await c.report(run_id, "completed", runner);
    expect(await c.sessionStatus("s")).toBe("finished");
  });

  test("finished without an assistant message has no result: 404", async () => {
    await using c = await Fixture.start();
    await c.start({ session_id: "s" });
    await c.post("/sessions/s/events", stopEvent("s"));
    expect((await c.get("/sessions/s/result")).status).toBe(404);
  });

  test("events keep their order and unknown fields, on both paths; another session's id is 400", async () => {
    await using c = await Fixture.start();
    await c.start({ session_id: "s" });
    await c.post("/sessions/s/events", {
      event_type: "post_tool",
      session_id: "s",
      timestamp: "t1",
      tool_name: "Bash",
      extra: 1,
    });
    await c.post("/events", { event_type: "odd", session_id: "s" });
    const { events } = (await c.get("/sessions/s/events")).body;
    expect(events).toEqual([
      {
        event_type: "post_tool",
        session_id: "s",
        timestamp: "t1",
        tool_name: "Bash",
        extra: 1,
        id: events[0].event_id,
        event_id: expect.any(Number),
      },
      {
        event_type: "odd",
        session_id: "s",
        timestamp: expect.any(String),
        id: events[1].event_id,
        event_id: expect.any(Number),
      },
    ]);
    expect((await c.get("/events/s")).body.events).toEqual(events);
    expect(await c.get("/events/unknown")).toEqual({ status: 200, body: { events: [] } });
    expect((await c.get("/sessions/unknown/events")).status).toBe(404);
    expect((await c.post("/sessions/s/events", { event_type: "x", session_id: "t" })).status).toBe(400);
    expect((await c.post("/events", { event_type: "x", session_id: "t" })).status).toBe(404);
  });

  test("an id with special characters is found by its escaped path", async () => {
    await using c = await Fixture.start();
    const session_id = "ü:%41+@";
    await c.start({ session_id });
    expect((await c.get(`/sessions/${encodeURIComponent(session_id)}`)).body.session.session_id).toBe(session_id);
  });

  test("DELETE deletes the session's events and stops its run", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start({ session_id: "s" });
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    await c.say("s", "x");
    expect(await c.call("DELETE", "/sessions/s")).toEqual({
      status: 200,
      body: { ok: true, session_id: "s", deleted: { session: true, events_count: 1, runs_count: 0 } },
    });
    expect(await c.sessionStatus("s")).toBe("not_existent");
    expect((await c.poll(runner)).body).toEqual({ stop_runs: [run_id] });
    expect((await c.report(run_id, "stopped", runner)).status).toBe(200);
    await c.start({ session_id: "s" });
    expect((await c.get("/sessions/s/events")).body.events).toEqual([]);
  });
});
