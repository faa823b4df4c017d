import { expect, test } from "bun:test";
import { gatewayFixture, type GatewayFixture } from "./gateway-fixture.ts";

const START = { type: "start_session", prompt: "p" };

function createdBody(fixture: GatewayFixture): Record<string, unknown> {
  const sent = fixture.forwarded().find(({ method, url }) => method === "POST" && url === "/runs");
  return JSON.parse(sent?.body ?? "{}") as Record<string, unknown>;
}

test("gateway: the parent of a new run is the executor's session, whatever the body says", async () => {
  await using fixture = gatewayFixture();
  await fixture.call("POST", "/runs", {
    ...START,
    parent_session_id: "foreign",
    execution_mode: "async_callback",
    project_dir: "/p",
  });
  expect(createdBody(fixture)).toEqual({
    ...START,
    parent_session_id: "own",
    execution_mode: "async_callback",
    project_dir: "/p",
  });
});

test("gateway: a session that resumes itself is not its own parent", async () => {
  await using fixture = gatewayFixture();
  expect(
    (
      await fixture.call("POST", "/runs", {
        ...START,
        type: "resume_session",
        session_id: "own",
        parent_session_id: "own",
      })
    ).status,
  ).toBe(200);
  expect(createdBody(fixture)["parent_session_id"]).toBeNull();
});

test("gateway: the session of a new run belongs to the tree", async () => {
  await using fixture = gatewayFixture();
  expect((await fixture.call("POST", "/sessions/new/stop")).status).toBe(403);
  expect((await fixture.call("POST", "/runs", START)).body).toEqual({
    run_id: "run_new",
    session_id: "new",
    status: "pending",
  });
  expect((await fixture.call("POST", "/sessions/new/stop")).status).toBe(200);
});

test("gateway: creates no run with an unknown parent, which would lock a Python coordinator's database", async () => {
  await using fixture = gatewayFixture({
    answer: ({ method, url }) =>
      method === "GET" && url === "/sessions/own" ? Response.json({ detail: "gone" }, { status: 404 }) : undefined,
  });
  expect(await fixture.call("POST", "/runs", START)).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining("own") },
  });
  expect(fixture.forwarded()).toEqual([]);
});

test("gateway: passes on the coordinator's refusal of a run, and adds nothing to the tree", async () => {
  await using fixture = gatewayFixture({
    answer: ({ method, url }) =>
      method === "POST" && url === "/runs" ? Response.json({ detail: "no such agent" }, { status: 404 }) : undefined,
  });
  expect(await fixture.call("POST", "/runs", START)).toEqual({ status: 404, body: { detail: "no such agent" } });
  expect((await fixture.call("POST", "/sessions/new/stop")).status).toBe(403);
});

test.each([
  ["nothing", "", 400, "Request body required"],
  ["no JSON", "{", 400, "Invalid JSON: "],
  ["a list", "[]", 400, "Invalid JSON: not an object"],
  ["100,000 levels", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 422, "nested too deeply"],
])("gateway: a body of %s is refused", async (_, body, status, detail) => {
  await using fixture = gatewayFixture();
  for (const [method, path] of [
    ["POST", "/runs"],
    ["POST", "/bind"],
    ["PATCH", "/metadata"],
    ["POST", "/sessions/own/events"],
  ] as const) {
    expect(await fixture.call(method, path, body)).toMatchObject({
      status,
      body: { detail: expect.stringContaining(detail) },
    });
  }
});

test("gateway: the short paths name the missing field", async () => {
  await using fixture = gatewayFixture();
  expect(await fixture.call("POST", "/bind", { executor_session_id: "e" })).toEqual({
    status: 400,
    body: { detail: "session_id required" },
  });
  expect(await fixture.call("POST", "/bind", { session_id: "own" })).toEqual({
    status: 400,
    body: { detail: "executor_session_id required" },
  });
  expect(await fixture.call("PATCH", "/metadata", { session_id: 5 })).toEqual({
    status: 400,
    body: { detail: "session_id required" },
  });
});

test("gateway: adds host and executor to a bind; the body's own fields win, except the profile", async () => {
  await using fixture = gatewayFixture();
  await fixture.call("POST", "/bind", { session_id: "own", executor_session_id: "e", project_dir: "/p" });
  await fixture.call("POST", "/sessions/own/bind", {
    executor_session_id: "e",
    hostname: "other",
    executor_profile: "other",
  });
  const bodies = fixture.forwarded().map(({ body }) => JSON.parse(body) as unknown);
  const defaults = {
    hostname: "this-host",
    executor_type: "test-executor",
    executor_profile: "test-executor",
    executor_session_id: "e",
  };
  expect(bodies).toEqual([
    { ...defaults, project_dir: "/p" },
    { ...defaults, hostname: "other" },
  ]);
});

test("gateway: forwards metadata without session_id", async () => {
  await using fixture = gatewayFixture();
  await fixture.call("PATCH", "/metadata", { session_id: "own", agent_name: "a" });
  expect(fixture.forwarded()).toMatchObject([
    { method: "PATCH", url: "/sessions/own/metadata", body: '{"agent_name":"a"}' },
  ]);
});
