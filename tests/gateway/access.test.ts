import { expect, test } from "bun:test";
import { gatewayFixture } from "./gateway-fixture.ts";

const EVENT = { event_type: "message", session_id: "own", role: "assistant", content: [{ type: "text", text: "hi" }] };
const START = { type: "start_session", prompt: "p" };

/** `at`: where it arrives at the coordinator, if that is not the path that was asked for. */
const ALLOWED: readonly { readonly ask: string; readonly body?: unknown; readonly at?: string }[] = [
  { ask: "GET /agents" },
  { ask: "GET /agents?tags=a,b" },
  { ask: "GET /agents/researcher" },
  { ask: "GET /sessions" },
  { ask: "GET /sessions/", at: "GET /sessions" },
  { ask: "GET /sessions/own" },
  { ask: "GET /sessions/own/status" },
  { ask: "GET /sessions/own/events" },
  { ask: "GET /sessions/child" },
  { ask: "GET /sessions/child/result" },
  { ask: "GET /sessions/grandchild/affinity" },
  { ask: "GET /events/own" },
  { ask: "GET /events/grandchild" },
  { ask: "GET /runs" },
  { ask: "GET /runs/run_own" },
  { ask: "GET /runs/run_child" },
  { ask: "GET /sse/sessions?session_id=child", at: "GET /sse/sessions?session_id=child&include_init=false" },
  { ask: "POST /runs", body: START },
  { ask: "POST /runs", body: { ...START, type: "resume_session", session_id: "child" } },
  { ask: "POST /runs/run_own/stop" },
  { ask: "POST /runs/run_child/stop" },
  { ask: "POST /sessions/grandchild/stop" },
  { ask: "POST /sessions/own/stop" },
  { ask: "DELETE /sessions/child" },
  { ask: "DELETE /sessions/grandchild" },
  { ask: "POST /sessions/own/bind", body: { executor_session_id: "e" } },
  { ask: "POST /sessions/own/events", body: EVENT },
  { ask: "PATCH /sessions/own/metadata", body: { agent_name: "a" } },
  { ask: "POST /bind", body: { session_id: "own", executor_session_id: "e" }, at: "POST /sessions/own/bind" },
  { ask: "POST /events", body: EVENT, at: "POST /sessions/own/events" },
  { ask: "PATCH /metadata", body: { session_id: "own", agent_name: "a" }, at: "PATCH /sessions/own/metadata" },
];

test.each(ALLOWED.map((row) => [row.ask, row] as const))("gateway: allows %s", async (ask, { body, at }) => {
  await using fixture = gatewayFixture();
  const [method = "", path = ""] = ask.split(" ");
  expect((await fixture.call(method, path, body)).status).toBe(200);
  const last = fixture.forwarded().find((one) => `${one.method} ${one.url}` === (at ?? ask));
  expect(last?.headers.get("authorization")).toBe("Bearer runner-token");
});

const FORBIDDEN: readonly { readonly ask: string; readonly body?: unknown }[] = [
  // Runner endpoints, under any method and spelling.
  { ask: "GET /runner/runs?runner_id=lnch_1" },
  { ask: "POST /runner/register", body: {} },
  { ask: "POST /runner/heartbeat", body: {} },
  { ask: "POST /runner/runs/run_own/completed", body: {} },
  { ask: "POST /runner/sessions/own/status", body: {} },
  { ask: "GET /runners" },
  { ask: "DELETE /runners/lnch_1" },
  { ask: "DELETE /runners/lnch_1?self=true" },
  // Agents are read only.
  { ask: "POST /agents", body: { name: "a" } },
  { ask: "PATCH /agents/a", body: {} },
  { ask: "PATCH /agents/a/status", body: {} },
  { ask: "DELETE /agents/a" },
  { ask: "GET /agents/a/secrets" },
  // Sessions out of the tree: what is beside, what is above, what does not exist.
  { ask: "GET /sessions/foreign" },
  { ask: "GET /sessions/foreign/events" },
  { ask: "GET /sessions/foreign/result" },
  { ask: "GET /sessions/parent" },
  { ask: "GET /sessions/nobody" },
  { ask: "GET /events/foreign" },
  { ask: "GET /events" },
  { ask: "POST /sessions/foreign/stop" },
  { ask: "POST /sessions/parent/stop" },
  { ask: "GET /runs/run_foreign" },
  { ask: "POST /runs/run_foreign/stop" },
  { ask: "POST /runs/run_parent/stop" },
  // Another session's records, even in the own tree; and what no run may do to its own.
  { ask: "POST /sessions/child/events", body: { ...EVENT, session_id: "child" } },
  { ask: "POST /sessions/child/bind", body: { executor_session_id: "e" } },
  { ask: "PATCH /sessions/child/metadata", body: {} },
  { ask: "DELETE /sessions/own" },
  { ask: "DELETE /sessions/parent" },
  { ask: "DELETE /sessions/foreign" },
  { ask: "PUT /sessions/own", body: {} },
  { ask: "POST /sessions", body: { session_id: "x" } },
  { ask: "GET /sessions/own/secrets" },
  { ask: "GET /sessions/own/events/1" },
  { ask: "GET /runs/run_own/log" },
  { ask: "DELETE /runs/run_own" },
  // The session is named in the body.
  { ask: "POST /bind", body: { session_id: "child", executor_session_id: "e" } },
  { ask: "POST /events", body: { ...EVENT, session_id: "foreign" } },
  { ask: "PATCH /metadata", body: { session_id: "foreign", agent_name: "a" } },
  { ask: "POST /sessions/own/events", body: { ...EVENT, session_id: "foreign" } },
  { ask: "POST /bind/own", body: { session_id: "own", executor_session_id: "e" } },
  // Resuming what is out of the tree, or nothing.
  { ask: "POST /runs", body: { ...START, type: "resume_session", session_id: "foreign" } },
  { ask: "POST /runs", body: { ...START, type: "resume_session", session_id: "parent" } },
  { ask: "POST /runs", body: { ...START, type: "resume_session" } },
  { ask: "POST /runs", body: { ...START, type: "resume_session", session_id: ["child"] } },
  // All sessions' live events.
  { ask: "GET /sse/sessions" },
  { ask: "GET /sse/sessions?session_id=foreign" },
  { ask: "GET /sse/other?session_id=own" },
  // Whatever else there is.
  { ask: "GET /" },
  { ask: "GET /health" },
  { ask: "GET /openapi.json" },
  { ask: "GET /docs" },
  { ask: "OPTIONS /sessions/own" },
];

test.each(
  FORBIDDEN.map((row) => [`${row.ask}${row.body === undefined ? "" : ` ${JSON.stringify(row.body)}`}`, row] as const),
)("gateway: forbids %s", async (_, { ask, body }) => {
  await using fixture = gatewayFixture();
  const [method = "", path = ""] = ask.split(" ");
  expect(await fixture.call(method, path, body)).toMatchObject({
    status: 403,
    body: { detail: expect.stringContaining("is not allowed here") },
  });
  expect(fixture.forwarded()).toEqual([]);
});

test("gateway: of two session_id in a stream's query none is smuggled past the check", async () => {
  await using fixture = gatewayFixture();
  await fixture.call("GET", "/sse/sessions?session_id=own&session_id=foreign&include_init=true");
  expect(fixture.forwarded().map(({ url }) => url)).toEqual(["/sse/sessions?session_id=own&include_init=false"]);
});

test("gateway: lists hold the own tree only, and the coordinator's other fields", async () => {
  await using fixture = gatewayFixture();
  const sessions = (await fixture.call("GET", "/sessions")).body as {
    sessions: { session_id: string }[];
    total: number;
  };
  expect(sessions.sessions.map(({ session_id }) => session_id)).toEqual(["own", "child", "grandchild"]);
  expect(sessions.total).toBe(5);
  const runs = (await fixture.call("GET", "/runs")).body as { runs: { run_id: string }[] };
  expect(runs.runs.map(({ run_id }) => run_id)).toEqual(["run_own", "run_child"]);
});

test("gateway: scope coordinator widens what may be read, to all sessions and runs", async () => {
  await using fixture = gatewayFixture({ scope: "coordinator" });
  const readable = [
    "/sessions/foreign/events",
    "/sessions/parent",
    "/runs/run_foreign",
    "/events/foreign",
    "/runners",
    "/sse/sessions",
  ];
  for (const path of readable) expect((await fixture.call("GET", path)).status).toBe(200);
  expect(((await fixture.call("GET", "/sessions")).body as { sessions: unknown[] }).sessions).toHaveLength(5);
});

test("gateway: scope coordinator widens neither writes nor the runner's endpoints", async () => {
  await using fixture = gatewayFixture({ scope: "coordinator" });
  const forbidden: [string, string, unknown?][] = [
    ["GET", "/runner/runs?runner_id=lnch_1"],
    ["POST", "/runner/heartbeat", {}],
    ["DELETE", "/runners/lnch_1"],
    ["POST", "/sessions/foreign/stop"],
    ["POST", "/sessions/foreign/events", { ...EVENT, session_id: "foreign" }],
    ["POST", "/events", { ...EVENT, session_id: "foreign" }],
    ["PATCH", "/sessions/foreign/metadata", {}],
    ["DELETE", "/sessions/foreign"],
    ["DELETE", "/agents/a"],
    ["POST", "/runs/run_foreign/stop"],
    ["POST", "/runs", { ...START, type: "resume_session", session_id: "foreign" }],
  ];
  for (const [method, path, body] of forbidden) expect((await fixture.call(method, path, body)).status).toBe(403);
  expect(fixture.forwarded()).toEqual([]);
});
