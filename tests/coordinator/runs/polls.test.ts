import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

const nothing = { status: 204, body: null };

describe("poll", () => {
  test("claims a waiting run at once, with every key of the wire", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start({ prompt: "hello", project_dir: "/p", agent_name: "nobody" });
    const { status, body } = await c.poll(runner);
    expect(status).toBe(200);
    expect(body.run).toEqual({
      run_id,
      type: "start_session",
      session_id,
      agent_name: "nobody",
      prompt: "hello",
      project_dir: "/p",
      parent_session_id: null,
      execution_mode: "sync",
      demands: null,
      status: "claimed",
      runner_id: runner,
      error: null,
      events_dropped: 0,
      created_at: expect.any(String),
      claimed_at: expect.any(String),
      started_at: null,
      completed_at: null,
      timeout_at: null,
      reason: null,
      priority: 0,
      waiting_for: null,
      not_before: null,
      expires_at: null,
      attempt: 1,
      returns: 0,
      max_attempts: 1,
      retry_delay_seconds: null,
      retry_of: null,
      retried_by: null,
      total_cost_usd: null,
      num_turns: null,
      input_tokens: null,
      output_tokens: null,
      created_by: null,
      created_from: "127.0.0.1",
      claimed_by: null,
      stopped_by: null,
      stopped_from: null,
      traceparent: null,
      tracestate: null,
      note: null,
    });
    expect(run_id).toMatch(/^run_[0-9a-f]{12}$/);
    expect(session_id).toMatch(/^ses_[0-9a-f]{12}$/);
    expect(await c.sessionStatus(session_id)).toBe("running");
  });

  test("that waits is answered when a client creates a run", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const polled = c.poll(runner);
    await until("the poll is open", async () => (await c.get("/runners")).body.runners.length === 1);
    const { run_id } = await c.start();
    expect((await polled).body.run.run_id).toBe(run_id);
  });

  test("with nothing to deliver ends with 204 after pollTimeoutMs", async () => {
    await using c = await Fixture.start({ pollTimeoutMs: 30 });
    expect(await c.poll(await c.register())).toEqual(nothing);
  });

  test("of an unknown runner is 401, without runner_id 422, with a bad capacity 422", async () => {
    await using c = await Fixture.start();
    expect(await c.poll("lnch_nobody")).toEqual({ status: 401, body: { detail: "Runner not registered" } });
    expect((await c.get("/runner/runs")).status).toBe(422);
    expect((await c.poll(await c.register(), "&capacity=-1")).status).toBe(422);
  });

  test("claims runs in order of creation", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const created: string[] = [];
    for (let i = 0; i < 5; i++) created.push((await c.start()).run_id);
    const claimed: string[] = [];
    for (let i = 0; i < 5; i++) claimed.push((await c.claim(runner)).run_id);
    expect(claimed).toEqual(created);
  });

  test("gives each run to only one runner", async () => {
    await using c = await Fixture.start();
    const runners = await Promise.all(Array.from({ length: 8 }, (_, i) => c.register({ hostname: `host-${i}` })));
    const polls = runners.map((runner) => c.poll(runner));
    const created = await Promise.all(polls.map(() => c.start()));
    const runs = (await Promise.all(polls)).map((answer) => answer.body.run.run_id);
    expect(new Set(runs)).toEqual(new Set(created.map(({ run_id }) => run_id)));
  });

  test("of a runner with an open poll ends that poll with 204, and gets the run", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const first = c.poll(runner);
    const second = c.poll(runner);
    const ended = await Promise.race([
      first.then((answer) => ({ answer, other: second })),
      second.then((answer) => ({ answer, other: first })),
    ]);
    expect(ended.answer).toEqual(nothing);
    const { run_id } = await c.start();
    expect((await ended.other).body.run.run_id).toBe(run_id);
  });

  test("of a closed connection claims nothing", async () => {
    await using c = await Fixture.start();
    const [gone, other] = [await c.register(), await c.register({ hostname: "other" })];
    const hangUp = new AbortController();
    const polled = c.poll(gone, "", hangUp.signal).catch(() => "aborted");
    await c.get("/health");
    hangUp.abort();
    expect(await polled).toBe("aborted");
    // The server notices the closed connection when it next reads its sockets.
    await c.get("/health");
    const { run_id } = await c.start();
    expect((await c.poll(other)).body.run.run_id).toBe(run_id);
  });

  test("with capacity=0 claims no run, but gets stops", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start();
    await c.start();
    await c.claim(runner);
    const waiting = c.poll(runner, "&capacity=0");
    await c.post(`/runs/${run_id}/stop`);
    expect((await waiting).body).toEqual({ stop_runs: [run_id] });
  });

  test("delivers the stops of the runner's own runs only, in order of creation", async () => {
    await using c = await Fixture.start();
    const [runner, other] = [await c.register(), await c.register({ project_dir: "/other" })];
    const mine: string[] = [];
    for (let count = 0; count < 3; count++) {
      await c.start();
      mine.push((await c.claim(runner)).run_id);
    }
    await c.start();
    const others = (await c.claim(other)).run_id;
    for (const runId of [mine[2], others, mine[0]]) await c.post(`/runs/${runId}/stop`);
    expect((await c.poll(runner, "&capacity=0")).body).toEqual({ stop_runs: [mine[0], mine[2]] });
    expect((await c.poll(other, "&capacity=0")).body).toEqual({ stop_runs: [others] });
  });

  test("with capacity=0 does not claim a run that is created meanwhile", async () => {
    await using c = await Fixture.start({ pollTimeoutMs: 500 });
    const runner = await c.register();
    const waiting = c.poll(runner, "&capacity=0");
    await c.get("/health");
    await c.start();
    expect(await waiting).toEqual(nothing);
  });
});

test("a poll may wait longer than the idle time-out of connections", async () => {
  await using c = await Fixture.start({ idleTimeoutSeconds: 1, pollTimeoutMs: 6_000 });
  expect(await c.poll(await c.register())).toEqual(nothing);
}, 10_000);
