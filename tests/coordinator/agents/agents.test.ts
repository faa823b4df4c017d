import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const agent = {
  name: "coder",
  description: "writes code",
  system_prompt: "You write code.",
  tags: ["code", "fast"],
  skills: null,
};

test("POST /agents creates an active agent, without nulls", async () => {
  await using c = await Fixture.start();
  const { skills: _, ...shown } = agent;
  const created = await c.post("/agents", agent);
  expect(created).toEqual({
    status: 201,
    body: { ...shown, status: "active", created_at: expect.any(String), modified_at: expect.any(String) },
  });
  expect(await c.get("/agents/coder")).toEqual({ status: 200, body: created.body });
  expect((await c.get("/agents")).body).toEqual([created.body]);
});

test("POST /agents is 400 for a bad name, 409 for a taken name, 422 without a description", async () => {
  await using c = await Fixture.start();
  await c.post("/agents", agent);
  expect((await c.post("/agents", { ...agent, name: "../x" })).status).toBe(400);
  expect((await c.post("/agents", agent)).status).toBe(409);
  expect((await c.post("/agents", { name: "x" })).status).toBe(422);
});

test("GET /agents?tags= lists the agents with all of the tags", async () => {
  await using c = await Fixture.start();
  await c.post("/agents", agent);
  await c.post("/agents", { name: "a", description: "", tags: ["code"] });
  await c.post("/agents", { name: "plain", description: "" });
  const names = async (query: string): Promise<string[]> =>
    (await c.get(`/agents${query}`)).body.map((each: { name: string }) => each.name);
  expect(await names("")).toEqual(["a", "coder", "plain"]);
  expect(await names("?tags=code")).toEqual(["a", "coder"]);
  expect(await names("?tags=code,%20fast")).toEqual(["coder"]);
  expect(await names("?tags=none")).toEqual([]);
});

test("PATCH and DELETE /agents change, deactivate and remove; unknown is 404", async () => {
  await using c = await Fixture.start();
  await c.post("/agents", agent);
  expect((await c.call("PATCH", "/agents/coder", { description: "new", system_prompt: null })).body).toMatchObject({
    description: "new",
    system_prompt: agent.system_prompt,
    tags: agent.tags,
  });
  expect((await c.call("PATCH", "/agents/coder/status", { status: "inactive" })).body.status).toBe("inactive");
  expect((await c.call("PATCH", "/agents/coder/status", { status: "odd" })).status).toBe(422);
  expect(await c.call("DELETE", "/agents/coder")).toEqual({ status: 204, body: null });
  for (const [method, path, body] of [
    ["GET", "/agents/coder"],
    ["PATCH", "/agents/coder", {}],
    ["PATCH", "/agents/coder/status", { status: "active" }],
    ["DELETE", "/agents/coder"],
  ] as const) {
    expect((await c.call(method, path, body)).status).toBe(404);
  }
});

test("fields that are not served are 422, unless they are empty; so is half an MCP server", async () => {
  await using c = await Fixture.start();
  const hooks = { on_run_start: { type: "agent", agent_name: "guard", on_error: "block" } };
  const refused: [object, string][] = [
    [{ hooks }, "this coordinator does not serve hooks of agents"],
    [{ capabilities: ["search"] }, "capabilities"],
    [{ parameters_schema: { type: "object" } }, "a parameters_schema"],
    [{ type: "procedural" }, "this coordinator serves autonomous agents only"],
    [{ mcp_servers: { web: { ref: "search" } } }, "an MCP server needs a url or a command"],
    [{ mcp_servers: { web: { type: "http" } } }, "an MCP server needs a url or a command"],
  ];
  for (const [fields, reason] of refused) {
    const { status, body } = await c.post("/agents", { ...agent, ...fields });
    expect([status, JSON.stringify(body)]).toEqual([422, expect.stringContaining(reason)] as never);
  }
  const empty = { type: "autonomous", hooks: null, capabilities: [], parameters_schema: null, command: null };
  const mcp_servers = { web: { url: "http://x", config: { a: "1" } }, own: { command: "c" } };
  const created = await c.post("/agents", { ...agent, ...empty, mcp_servers });
  expect([created.status, created.body.mcp_servers]).toEqual([201, mcp_servers]);
  expect((await c.call("PATCH", "/agents/coder", { hooks })).status).toBe(422);
});
