import { expect, test } from "bun:test";
import { NEVER } from "../../src/async/never.ts";
import { CoordinatorClient, duplicateRunner } from "../../src/client/coordinator-client.ts";
import { noAuthorization, staticToken } from "../harness/authorization.ts";
import { failureOfAnswer } from "../../src/client/failure.ts";
import { until } from "../harness/until.ts";
import { said, stop } from "./session-events.ts";
import { rawServer, type StubServer, stubServer } from "./stub-server.ts";

const RUN = { run_id: "run_1", session_id: "ses_1", type: "start_session", status: "claimed", prompt: "p" };

const clientOf = (server: { url: string }): CoordinatorClient => new CoordinatorClient(server.url, noAuthorization);
const poll = (server: { url: string }, options: { stopsOnly?: boolean; signal?: AbortSignal } = {}) =>
  clientOf(server).poll("lnch_1", { stopsOnly: false, signal: NEVER, ...options });

const bodiesOf = (server: StubServer): unknown[] => server.received.map(({ body }) => JSON.parse(body));

test("CoordinatorClient.report: sends the bodies that both generations accept", async () => {
  await using server = stubServer(() => Response.json({ ok: true }));
  const client = clientOf(server);
  await client.report("r", "run_1", { verb: "started" });
  await client.report("r", "run_1", { verb: "completed" });
  await client.report("r", "run_1", { verb: "failed", error: "e" });
  await client.report("r", "run_1", { verb: "stopped", signal: "SIGKILL" });
  expect(server.received.map(({ url }) => url)).toEqual(
    ["started", "completed", "failed", "stopped"].map((verb) => `/runner/runs/run_1/${verb}`),
  );
  expect(bodiesOf(server)).toEqual([
    { runner_id: "r" },
    { runner_id: "r", status: "success", session_status: "finished" },
    { runner_id: "r", error: "e" },
    { runner_id: "r", signal: "SIGKILL" },
  ]);
});

test("CoordinatorClient.report: names the time that the executor ran", async () => {
  await using server = stubServer(() => Response.json({ ok: true }));
  const client = clientOf(server);
  await client.report("r", "run_1", { verb: "completed", durationMs: 7 });
  await client.report("r", "run_1", { verb: "failed", error: "e", durationMs: 7 });
  await client.report("r", "run_1", { verb: "stopped", signal: "SIGKILL", durationMs: 7 });
  expect(bodiesOf(server)).toMatchObject(Array.from({ length: 3 }, () => ({ duration_ms: 7 })));
});

test.each(["<html>log in</html>", '{"ok": tr', '"ok"'])(
  "CoordinatorClient.report: a 200 with %s acknowledges nothing",
  async (body) => {
    await using server = stubServer(() => new Response(body));
    const report = clientOf(server).report("r", "run_1", { verb: "completed" });
    expect(await report.catch((error: unknown) => error)).toMatchObject({ kind: "unavailable", status: 200 });
  },
);

test("CoordinatorClient.heartbeat: names claimed runs only if there are any", async () => {
  await using server = stubServer(() => Response.json({ ok: true }));
  await clientOf(server).heartbeat("r", { claimedRunIds: [] });
  await clientOf(server).heartbeat("r", { claimedRunIds: ["run_1"] });
  expect(bodiesOf(server)).toEqual([{ runner_id: "r" }, { runner_id: "r", claimed_run_ids: ["run_1"] }]);
});

test("CoordinatorClient.deregister: with and without `self`", async () => {
  await using server = stubServer(() => Response.json({ ok: true }));
  await clientOf(server).deregister("r", { self: true });
  await clientOf(server).deregister("r", { self: false });
  expect(server.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "DELETE /runners/r?self=true",
    "DELETE /runners/r",
  ]);
});

test("CoordinatorClient: escapes ids in paths", async () => {
  await using server = stubServer(() => Response.json({ session: { session_id: "ses%41", status: "running" } }));
  await clientOf(server).session("ses%41");
  expect(server.received[0]?.url).toBe("/sessions/ses%2541");
});

test("CoordinatorClient.poll: asks for stops only on request, and sends its credentials", async () => {
  await using server = stubServer(() => new Response(null, { status: 204 }));
  const client = new CoordinatorClient(server.url, staticToken("t"));
  expect(await client.poll("a b", { stopsOnly: false, signal: NEVER })).toEqual({
    kind: "nothing",
  });
  await client.poll("a b", { stopsOnly: true, signal: NEVER });
  expect(server.received.map(({ url }) => url)).toEqual([
    "/runner/runs?runner_id=a%20b",
    "/runner/runs?runner_id=a%20b&capacity=0",
  ]);
  expect(server.received[0]?.headers.get("authorization")).toBe("Bearer t");
});

test("CoordinatorClient.poll: returns the run", async () => {
  await using server = stubServer(() => Response.json({ run: RUN }));
  expect(await poll(server)).toMatchObject({ kind: "run", run: { runId: "run_1" } });
});

test("CoordinatorClient.poll: a broken connection fails, and causes no second claim", async () => {
  let requests = 0;
  let isCut = false;
  // The server answers the first poll on a connection that stays alive, and breaks the second.
  using server = rawServer((socket) => {
    requests++;
    if (isCut) socket.terminate();
    else socket.write("HTTP/1.1 204 No Content\r\n\r\n");
  });
  expect(await poll(server)).toEqual({ kind: "nothing" });
  isCut = true;
  expect(await poll(server).catch((error: unknown) => error)).toMatchObject({ kind: "unreachable" });
  expect(requests).toBe(2);
});

test.each([
  ["an HTML page", "<html>"],
  ["an empty body", ""],
  ["a list", "[]"],
])("CoordinatorClient.poll: a 200 with %s is unavailable", async (_, body) => {
  await using server = stubServer(() => new Response(body));
  expect(await poll(server).catch((error: unknown) => error)).toMatchObject({ kind: "unavailable", status: 200 });
});

test("CoordinatorClient.poll: ends with its signal", async () => {
  await using server = stubServer(() => new Promise(() => {}));
  const controller = new AbortController();
  const open = poll(server, { signal: controller.signal }).catch((error: unknown) => error);
  await until("the poll to arrive", () => server.received.length === 1);
  controller.abort(new DOMException("timed out", "TimeoutError"));
  expect(await open).toMatchObject({ kind: "unreachable", message: "GET /runner/runs: timed out" });
});

test("CoordinatorClient.agent: reads a bare or wrapped blueprint, and names the field that is invalid", async () => {
  const answers = [{ name: "a", extra: 1 }, { agent: { name: "b" } }, { name: "c", system_prompt: 5 }];
  await using server = stubServer(() => Response.json(answers.shift()));
  expect(await clientOf(server).agent("a")).toEqual({ name: "a", extra: 1 });
  expect(await clientOf(server).agent("b")).toEqual({ name: "b" });
  expect(
    await clientOf(server)
      .agent("c")
      .catch((error: unknown) => error),
  ).toMatchObject({ kind: "refused", message: expect.stringContaining("system_prompt") });
});

test("CoordinatorClient.runs: leaves out malformed rows", async () => {
  await using server = stubServer(() =>
    Response.json({ runs: [RUN, null, { run_id: "../x" }, { ...RUN, run_id: "run_2", type: "odd" }] }),
  );
  expect((await clientOf(server).runs({ status: "claimed" })).map((run) => run.run_id)).toEqual(["run_1", "run_2"]);
  expect(server.received[0]?.url).toBe("/runs?status=claimed");
});

const missing = (): Response => Response.json({ detail: "Not Found" }, { status: 404 });
const completed = { run_id: "run_2", session_id: "ses_1" };

test("CoordinatorClient.runResult: from the run, else its events, else the session", async () => {
  const answers: [own: unknown, events: unknown, session: unknown][] = [
    [{ result: "one" }, null, null],
    [{ result: null }, null, { result: "of an earlier run" }],
    [null, [said("early"), stop(1), stop(2)], { result: "early" }],
    [null, [said("early"), stop(1), said("now"), stop(2)], { result: "now" }],
    [null, null, { result: "one" }],
    [null, null, { result_text: "two", result_data: null }],
    [null, null, { result_text: null, result_data: { three: 3 } }],
    [null, null, { result: null }],
    [null, null, null],
  ];
  const results = [];
  for (const [own, events, session] of answers) {
    await using server = stubServer(({ url }) => {
      const body = url.startsWith("/runs/") ? own : url.endsWith("/events") ? events && { events } : session;
      return body === null ? missing() : Response.json(body);
    });
    results.push(await clientOf(server).runResult(completed));
  }
  expect(results).toEqual(["one", null, null, "now", "one", "two", '{"three":3}', null, null]);
});

test("CoordinatorClient.sessionStream: yields events, null for other changes, and ends with the signal", async () => {
  const event = { event_type: "message", session_id: "ses_1" };
  const frames = [`event: event\ndata: ${JSON.stringify({ data: event })}\n\n`, "event: session_updated\ndata: {}\n\n"];
  await using server = stubServer(
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => frames.forEach((frame) => controller.enqueue(new TextEncoder().encode(frame))),
        }),
      ),
  );
  const controller = new AbortController();
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const one of clientOf(server).sessionStream("ses_1", controller.signal))
      if (seen.push(one) === 2) controller.abort();
  })();
  await reading.catch(() => {});
  expect(seen).toEqual([event, null]);
});

test("CoordinatorClient.probe: returns how far the coordinator's clock is ahead", async () => {
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  await using server = stubServer(() => Response.json({ status: "healthy" }, { headers: { date } }));
  const { clockAheadMs } = await clientOf(server).probe();
  expect(Math.abs((clockAheadMs ?? 0) - 3_600_000)).toBeLessThan(5_000);
});

test("duplicateRunner: reads the 409 for a registered identity, and nothing else", () => {
  const detail = { error: "duplicate_runner", message: "m", runner_id: "lnch_1", hostname: "h" };
  const of = (status: number, body: object) =>
    duplicateRunner(failureOfAnswer("register", status, JSON.stringify(body)));
  expect(of(409, { detail })).toMatchObject({ runner_id: "lnch_1", hostname: "h", capabilities: [] });
  expect(of(409, { detail: { ...detail, error: "agent_name_collision" } })).toBeNull();
  expect(of(400, { detail })).toBeNull();
  expect(of(409, { detail: "text" })).toBeNull();
});

test("CoordinatorClient.createRun: sends the prompt once, in `parameters` where they are missed", async () => {
  const created = { run_id: "run_1", session_id: "ses_1", status: "pending" };
  await using first = stubServer(() => Response.json(created));
  await clientOf(first).createRun({ type: "start_session", prompt: "p", execution_mode: "sync" });
  expect(bodiesOf(first)).toEqual([{ type: "start_session", prompt: "p", execution_mode: "sync" }]);

  await using second = stubServer(({ body }) =>
    body.includes('"parameters"')
      ? Response.json(created, { status: 201 })
      : Response.json({ detail: [{ loc: ["body", "parameters"], msg: "Field required" }] }, { status: 422 }),
  );
  const client = clientOf(second);
  await client.createRun({ type: "start_session", prompt: "p", execution_mode: "sync" });
  await client.createRun({ type: "start_session", prompt: "q", execution_mode: "sync" });
  const [, ...sent] = bodiesOf(second);
  expect(sent).toEqual([
    { type: "start_session", execution_mode: "sync", parameters: { prompt: "p" } },
    { type: "start_session", execution_mode: "sync", parameters: { prompt: "q" } },
  ]);
});

test("CoordinatorClient.createRun: a run that is refused for another reason is sent once", async () => {
  await using server = stubServer(() => Response.json({ detail: "no such agent" }, { status: 400 }));
  const creating = clientOf(server).createRun({ type: "start_session", prompt: "p", execution_mode: "sync" });
  expect(await creating.catch((error: unknown) => error)).toMatchObject({ status: 400 });
  expect(server.received).toHaveLength(1);
});
