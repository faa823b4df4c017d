import { expect, test } from "bun:test";
import { gatewayFixture } from "./gateway-fixture.ts";

const EVENT = { event_type: "message", session_id: "own", role: "assistant", content: [{ type: "text", text: "hi" }] };
const START = { type: "start_session", prompt: "p" };

/** `at`: the request at the coordinator, if it differs from the call. */
const ALLOWED: readonly { readonly call: string; readonly body?: unknown; readonly at?: string }[] = [
  { call: "GET /agents" },
  { call: "GET /agents?tags=a,b" },
  { call: "GET /agents/researcher" },
  { call: "GET /sessions" },
  { call: "GET /sessions/", at: "GET /sessions" },
  { call: "GET /sessions/own" },
  { call: "GET /sessions/own/status" },
  { call: "GET /sessions/own/events" },
  { call: "GET /sessions/child" },
  { call: "GET /sessions/child/result" },
  { call: "GET /sessions/grandchild/affinity" },
  { call: "GET /events/own" },
  { call: "GET /events/grandchild" },
  { call: "GET /runs" },
  { call: "GET /runs/run_own" },
  { call: "GET /runs/run_child" },
  { call: "GET /sse/sessions?session_id=child", at: "GET /sse/sessions?session_id=child&include_init=false" },
  { call: "POST /runs", body: START },
  { call: "POST /runs", body: { ...START, type: "resume_session", session_id: "child" } },
  { call: "POST /runs/run_own/stop" },
  { call: "POST /runs/run_child/stop" },
  { call: "POST /sessions/grandchild/stop" },
  { call: "POST /sessions/own/stop" },
  { call: "DELETE /sessions/child" },
  { call: "DELETE /sessions/grandchild" },
  { call: "POST /sessions/own/bind", body: { executor_session_id: "e" } },
  { call: "POST /sessions/own/events", body: EVENT },
  { call: "PATCH /sessions/own/metadata", body: { agent_name: "a" } },
  { call: "POST /bind", body: { session_id: "own", executor_session_id: "e" }, at: "POST /sessions/own/bind" },
  { call: "POST /events", body: EVENT, at: "POST /sessions/own/events" },
  { call: "PATCH /metadata", body: { session_id: "own", agent_name: "a" }, at: "PATCH /sessions/own/metadata" },
];

test.each(ALLOWED.map((row) => [row.call, row] as const))("gateway: allows %s", async (call, { body, at }) => {
  await using fixture = gatewayFixture();
  const [method = "", path = ""] = call.split(" ");
  expect((await fixture.call(method, path, body)).status).toBe(200);
  const last = fixture.forwarded().find((one) => `${one.method} ${one.url}` === (at ?? call));
  expect(last?.headers.get("authorization")).toBe("Bearer runner-token");
});

const FORBIDDEN: readonly { readonly call: string; readonly body?: unknown }[] = [
  // Endpoints for runners.
  { call: "GET /runner/runs?runner_id=lnch_1" },
  { call: "POST /runner/register", body: {} },
  { call: "POST /runner/heartbeat", body: {} },
  { call: "POST /runner/runs/run_own/completed", body: {} },
  { call: "POST /runner/sessions/own/status", body: {} },
  { call: "GET /runners" },
  { call: "DELETE /runners/lnch_1" },
  { call: "DELETE /runners/lnch_1?self=true" },
  // Agents are read-only.
  { call: "POST /agents", body: { name: "a" } },
  { call: "PATCH /agents/a", body: {} },
  { call: "PATCH /agents/a/status", body: {} },
  { call: "DELETE /agents/a" },
  { call: "GET /agents/a/secrets" },
  // Sessions outside the tree: siblings, ancestors, unknown sessions.
  { call: "GET /sessions/foreign" },
  { call: "GET /sessions/foreign/events" },
  { call: "GET /sessions/foreign/result" },
  { call: "GET /sessions/parent" },
  { call: "GET /sessions/nobody" },
  { call: "GET /events/foreign" },
  { call: "GET /events" },
  { call: "POST /sessions/foreign/stop" },
  { call: "POST /sessions/parent/stop" },
  { call: "GET /runs/run_foreign" },
  { call: "POST /runs/run_foreign/stop" },
  { call: "POST /runs/run_parent/stop" },
  // Writes to another session, even in the own tree, and actions that no run may take on its own session.
  { call: "POST /sessions/child/events", body: { ...EVENT, session_id: "child" } },
  { call: "POST /sessions/child/bind", body: { executor_session_id: "e" } },
  { call: "PATCH /sessions/child/metadata", body: {} },
  { call: "DELETE /sessions/own" },
  { call: "DELETE /sessions/parent" },
  { call: "DELETE /sessions/foreign" },
  { call: "PUT /sessions/own", body: {} },
  { call: "POST /sessions", body: { session_id: "x" } },
  { call: "GET /sessions/own/secrets" },
  { call: "GET /sessions/own/events/1" },
  { call: "GET /runs/run_own/log" },
  { call: "DELETE /runs/run_own" },
  // The body names the session.
  { call: "POST /bind", body: { session_id: "child", executor_session_id: "e" } },
  { call: "POST /events", body: { ...EVENT, session_id: "foreign" } },
  { call: "PATCH /metadata", body: { session_id: "foreign", agent_name: "a" } },
  { call: "POST /sessions/own/events", body: { ...EVENT, session_id: "foreign" } },
  { call: "POST /bind/own", body: { session_id: "own", executor_session_id: "e" } },
  // A resume outside the tree, or without a session.
  { call: "POST /runs", body: { ...START, type: "resume_session", session_id: "foreign" } },
  { call: "POST /runs", body: { ...START, type: "resume_session", session_id: "parent" } },
  { call: "POST /runs", body: { ...START, type: "resume_session" } },
  { call: "POST /runs", body: { ...START, type: "resume_session", session_id: ["child"] } },
  // The event stream of all sessions.
  { call: "GET /sse/sessions" },
  { call: "GET /sse/sessions?session_id=foreign" },
  { call: "GET /sse/other?session_id=own" },
  // All other paths.
  { call: "GET /" },
  { call: "GET /health" },
  { call: "GET /openapi.json" },
  { call: "GET /docs" },
  { call: "OPTIONS /sessions/own" },
];

test.each(
  FORBIDDEN.map((row) => [`${row.call}${row.body === undefined ? "" : ` ${JSON.stringify(row.body)}`}`, row] as const),
)("gateway: forbids %s", async (_, { call, body }) => {
  await using fixture = gatewayFixture();
  const [method = "", path = ""] = call.split(" ");
  expect(await fixture.call(method, path, body)).toMatchObject({
    status: 403,
    body: { detail: expect.stringContaining("is not allowed here") },
  });
  expect(fixture.forwarded()).toEqual([]);
});

test("gateway: a second session_id in a stream's query is dropped", async () => {
  await using fixture = gatewayFixture();
  await fixture.call("GET", "/sse/sessions?session_id=own&session_id=foreign&include_init=true");
  expect(fixture.forwarded().map(({ url }) => url)).toEqual(["/sse/sessions?session_id=own&include_init=false"]);
});

test("gateway: lists contain only the own tree, and keep the coordinator's other fields", async () => {
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

test("gateway: scope coordinator allows reading all sessions and runs", async () => {
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

test("gateway: scope coordinator allows no other writes and no endpoints for runners", async () => {
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
