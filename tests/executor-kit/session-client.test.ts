import { describe, expect, test } from "bun:test";
import { SessionCallError, SessionClient } from "../../src/executor-kit/session-client.ts";
import { until } from "../harness/until.ts";
import { fakeApi } from "./fake-api.ts";

function clientOf(apiUrl: string, patienceMs = 60_000): SessionClient {
  return new SessionClient({
    apiUrl,
    sessionId: "ses a",
    signal: new AbortController().signal,
    attempts: 4,
    patienceMs,
    backoffBaseMs: 1,
  });
}

function closedApi(): { url: string } {
  using api = fakeApi();
  return { url: api.url };
}

describe("SessionClient", () => {
  test("sends calls in order even if the caller does not await them", async () => {
    let isFirst = true;
    using api = fakeApi(async () => {
      // The first call fails and is retried; the later calls must not overtake it.
      if (!isFirst) return undefined;
      isFirst = false;
      return new Response("later", { status: 503 });
    });
    const session = clientOf(api.url);
    await Promise.all([
      session.bind({ executor_session_id: "x" }),
      session.message("user", "one"),
      session.event({ event_type: "post_tool", tool_name: "t" }),
      session.metadata({ agent_name: "a" }),
    ]);
    expect(api.outline()).toEqual([
      "POST /sessions/ses%20a/bind",
      "POST /sessions/ses%20a/bind",
      "message user",
      "post_tool",
      "PATCH /sessions/ses%20a/metadata",
    ]);
    expect(api.calls[2]?.body).toMatchObject({ session_id: "ses a", content: [{ type: "text", text: "one" }] });
    expect(Date.parse(String(api.calls[2]?.body["timestamp"]))).toBeGreaterThan(0);
  });

  test("reads the session from the coordinator", async () => {
    const known = { session_id: "ses_a", status: "finished", executor_session_id: "x", project_dir: "/p" };
    using api = fakeApi(() => Response.json({ session: known }));
    expect(await clientOf(api.url).session()).toMatchObject(known);
    expect(api.outline()).toEqual(["GET /sessions/ses%20a"]);
  });

  test("fails after the maximum of attempts, with no secret in the message", async () => {
    using api = fakeApi(() => new Response("broken", { status: 500 }));
    const error = await clientOf(api.url)
      .message("user", "x")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SessionCallError);
    expect(String(error)).toContain("POST /sessions/ses%20a/events failed (500): broken");
    expect(String(error)).not.toContain("s3cret");
    expect(api.calls).toHaveLength(4);
  });

  test("waits for an unreachable coordinator beyond the maximum of attempts", async () => {
    using api = fakeApi(() => (api.calls.length < 9 ? Response.json({ detail: "away" }, { status: 502 }) : undefined));
    await clientOf(api.url).message("user", "x");
    expect(api.calls).toHaveLength(9);
  });

  test("waits for the coordinator while a proxy answers 200 with a page", async () => {
    using api = fakeApi(() => (api.calls.length < 9 ? new Response("<html>log in</html>") : undefined));
    await clientOf(api.url).message("user", "x");
    expect(api.calls).toHaveLength(9);
  });

  test.each([200, 301, 307, 304, 401, 403, 404, 405, 421, 426])(
    "waits while another program at the port answers %i with a page of its own, or without one",
    async (status) => {
      for (const page of ["<html>Who are you?</html>", ""]) {
        if (page === "" && status === 200) continue;
        using api = fakeApi(() =>
          api.calls.length < 9
            ? new Response(status === 304 ? null : page, { status, headers: { location: "http://127.0.0.1:1/" } })
            : undefined,
        );
        await clientOf(api.url).message("user", "x");
        expect(api.calls).toHaveLength(9);
      }
    },
  );

  test.each([400, 413, 431])("does not wait on a %i without a body", async (status) => {
    using api = fakeApi(() => new Response("", { status }));
    await expect(clientOf(api.url).message("user", "x")).rejects.toMatchObject({ status });
    expect(api.calls).toHaveLength(1);
  });

  test("does not retry a refused call, and continues with the next call", async () => {
    using api = fakeApi(({ path }) =>
      path.endsWith("/bind") ? Response.json({ detail: "no session" }, { status: 404 }) : undefined,
    );
    const session = clientOf(api.url);
    await expect(session.bind({ executor_session_id: "x" })).rejects.toMatchObject({ status: 404 });
    await session.message("user", "x");
    expect(api.calls).toHaveLength(2);
  });

  test("rejects with status 0 without an answer", async () => {
    const { url } = closedApi();
    await expect(clientOf(url, 10).message("user", "x")).rejects.toMatchObject({ status: 0 });
  });

  test("ends waits and retries when its signal fires", async () => {
    using api = fakeApi(() => new Response("broken", { status: 500 }));
    const stop = new AbortController();
    const session = new SessionClient({
      apiUrl: api.url,
      sessionId: "s",
      signal: stop.signal,
      attempts: 9,
      backoffBaseMs: 1e9,
    });
    const call = session.message("user", "x").catch((caught: unknown) => caught);
    await until("the first attempt", () => api.calls.length > 0);
    stop.abort(new Error("stopped"));
    expect(String(await call)).toContain("stopped");
    expect(api.calls).toHaveLength(1);
  });

  test("startChild sets its own session as the parent, for both generations of the API", async () => {
    using api = fakeApi(({ body }) =>
      Response.json({ run_id: "run_1", session_id: body["session_id"], status: "pending" }, { status: 201 }),
    );
    const created = await clientOf(api.url).startChild({
      prompt: "do",
      executionMode: "async_callback",
      agentName: "a",
    });
    expect(api.calls[0]).toMatchObject({
      method: "POST",
      path: "/runs",
      body: {
        type: "start_session",
        parent_session_id: "ses a",
        execution_mode: "async_callback",
        prompt: "do",
        parameters: { prompt: "do" },
        agent_name: "a",
      },
    });
    expect(created.session_id).toMatch(/^ses_[0-9a-f]{12}$/);
  });

  test("startChild starts one child even if the answer to the first attempt is lost", async () => {
    const sessions: unknown[] = [];
    using api = fakeApi(({ method, body }) => {
      if (method === "GET")
        return Response.json({ runs: [{ junk: 1 }, { run_id: "run_7", session_id: sessions[0], status: "pending" }] });
      if (sessions.includes(body["session_id"])) return Response.json({ detail: "exists" }, { status: 409 });
      sessions.push(body["session_id"]);
      return new Response("lost", { status: 502 });
    });
    const created = await clientOf(api.url).startChild({ prompt: "do", executionMode: "sync" });
    expect(created.run_id).toBe("run_7");
    expect(sessions).toHaveLength(1);
  });

  test("runEnded polls until the run has ended", async () => {
    const statuses = ["pending", "running", "completed"];
    using api = fakeApi(() => Response.json({ run_id: "run_1", session_id: "c", status: statuses.shift() }));
    expect(await clientOf(api.url).runEnded("run_1", 1)).toMatchObject({ status: "completed" });
  });

  test("result reads the answers of both generations", async () => {
    const answers = [{ result: "one" }, { result_text: "two", result_data: null }];
    using api = fakeApi(() => Response.json(answers.shift()));
    const session = clientOf(api.url);
    expect([await session.result("c"), await session.result("c")]).toEqual(["one", "two"]);
  });
});
