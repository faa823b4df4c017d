import { expect, test } from "bun:test";
import { Fixture } from "../coordinator/fixture.ts";
import { until } from "../harness/until.ts";
import { ToolWorld } from "./tool-world.ts";

/** The embedded coordinator. The test acts as its runner; the run of `root` is claimed. */
async function world(): Promise<{ c: Fixture; w: ToolWorld; runner: string } & AsyncDisposable> {
  const c = await Fixture.start({ pollTimeoutMs: 5_000 });
  const w = await ToolWorld.at(c.coordinator.url);
  const runner = await c.register();
  await c.claim(runner);
  return {
    c,
    w,
    runner,
    async [Symbol.asyncDispose]() {
      await w[Symbol.asyncDispose]();
      await c[Symbol.asyncDispose]();
    },
  };
}

const NAMES = [
  "list_agent_blueprints",
  "list_agent_sessions",
  "start_agent_session",
  "resume_agent_session",
  "get_agent_session_status",
  "get_agent_session_result",
  "delete_all_agent_sessions",
];

test("tools: seven, loaded in the first turn, with a description of each argument", async () => {
  await using t = await world();
  const { tools } = await (await t.w.agent()).client.listTools();
  expect(tools.map(({ name }) => name)).toEqual(NAMES);
  for (const { name, description, _meta, inputSchema } of tools) {
    expect(_meta).toMatchObject({ "anthropic/alwaysLoad": true });
    expect(description).toBeString();
    for (const [argument, schema] of Object.entries(inputSchema.properties ?? {}))
      expect([name, argument, schema]).toEqual([
        name,
        argument,
        expect.objectContaining({ description: expect.any(String) }),
      ]);
  }
});

test("list_agent_blueprints: active blueprints, by X-Agent-Tags, in the formats of both generations", async () => {
  await using t = await world();
  for (const [name, tags] of [
    ["alpha", ["a", "b"]],
    ["beta", ["a"]],
    ["gone", ["a", "b"]],
  ] as const) {
    await t.c.post("/agents", { name, description: `is ${name}`, tags });
  }
  await t.c.call("PATCH", "/agents/gone/status", { status: "inactive" });
  const agent = await t.w.agent();
  const all = await agent.call("list_agent_blueprints");
  expect(JSON.parse(all.text)).toEqual([
    { name: "alpha", description: "is alpha", type: "autonomous", tags: ["a", "b"], parameters_schema: null },
    { name: "beta", description: "is beta", type: "autonomous", tags: ["a"], parameters_schema: null },
  ]);
  expect(all.value).toEqual({ result: JSON.parse(all.text) });
  expect((await agent.call("list_agent_blueprints", { response_format: "markdown" })).text).toBe(
    "## alpha\nis alpha\n\n## beta\nis beta",
  );
  expect(JSON.parse((await agent.call("list_agent_blueprints", { response_format: "json" })).text)).toMatchObject({
    total: 2,
    agents: [{ name: "alpha" }, { name: "beta" }],
  });
  const filtered = await (await t.w.agent({ "X-Agent-Tags": "a, b" })).call("list_agent_blueprints");
  expect(JSON.parse(filtered.text)).toMatchObject([{ name: "alpha" }]);
});

test.each([
  ["the second generation's arguments", { parameters: { prompt: "find it" }, agent_name: "finder" }],
  ["the first generation's arguments", { prompt: "find it", agent_blueprint_name: "finder" }],
])("start_agent_session: sync, with %s, returns the result", async (_, args) => {
  await using t = await world();
  await t.c.post("/agents", { name: "finder", description: "finds" });
  const answer = (await t.w.agent()).call("start_agent_session", { ...args, project_dir: "/p" });
  const run = await t.c.execute(t.runner, "completed", "found");
  expect(run).toMatchObject({
    prompt: "find it",
    agent_name: "finder",
    project_dir: "/p",
    parent_session_id: "root",
    execution_mode: "sync",
  });
  expect((await answer).value).toEqual({ session_id: run.session_id, result_text: "found", result_data: null });
});

test("start_agent_session: other parameters reach the agent as inputs", async () => {
  await using t = await world();
  await (
    await t.w.agent()
  ).call("start_agent_session", { parameters: { topic: "bees", depth: 2 }, mode: "async_poll" });
  expect((await t.c.claim(t.runner)).prompt).toBe("<inputs>\ntopic: bees\ndepth: 2\n</inputs>");
});

test("start_agent_session: the asynchronous modes return a handle with the next step", async () => {
  await using t = await world();
  const agent = await t.w.agent();
  const callback = (await agent.call("start_agent_session", { prompt: "a", mode: "async_callback" })).value;
  expect(callback).toMatchObject({
    status: "pending",
    mode: "async_callback",
    callback_to: "root",
    message: expect.stringContaining("end your turn"),
  });
  const poll = (await agent.call("start_agent_session", { prompt: "b", mode: "async_poll" })).value;
  expect(poll).toMatchObject({
    status: "pending",
    mode: "async_poll",
    message: expect.stringContaining("get_agent_session_status"),
  });
  const runs = (await t.c.get("/runs?status=pending")).body.runs;
  expect(runs).toMatchObject([
    {
      run_id: callback.run_id,
      session_id: callback.session_id,
      execution_mode: "async_callback",
      parent_session_id: "root",
    },
    { run_id: poll.run_id, session_id: poll.session_id, execution_mode: "async_poll" },
  ]);
});

test("start_agent_session: adds X-Additional-Demands, defaults to its project_dir, ignores bad JSON", async () => {
  await using t = await world();
  const demands = JSON.stringify({ tags: ["gpu"], project_dir: "/demanded" });
  await (
    await t.w.agent({ "X-Additional-Demands": demands })
  ).call("start_agent_session", { prompt: "a", mode: "async_poll" });
  await (
    await t.w.agent({ "X-Additional-Demands": "{not json" })
  ).call("start_agent_session", { prompt: "b", mode: "async_poll" });
  expect((await t.c.get("/runs?status=pending")).body.runs).toMatchObject([
    { prompt: "a", project_dir: "/demanded", demands: { tags: ["gpu"], project_dir: "/demanded" } },
    { prompt: "b", project_dir: null, demands: null },
  ]);
});

test.each([
  ["no task", {}, "The task is missing"],
  ["an empty prompt", { prompt: "" }, "The task is missing"],
  ["too long parameters", { prompt: "x".repeat(100_001) }, "the maximum is 100000"],
  ["an unknown mode", { prompt: "x", mode: "later" }, "mode"],
  ["an unknown blueprint", { prompt: "x", agent_name: "nobody" }, "Available: known."],
])("start_agent_session: %s is a tool error and starts nothing", async (_, args, text) => {
  await using t = await world();
  await t.c.post("/agents", { name: "known", description: "d" });
  const answer = await (await t.w.agent()).call("start_agent_session", args);
  expect([answer.isError, answer.text]).toEqual([true, expect.stringContaining(text)]);
  expect((await t.c.get("/runs?status=pending")).body.runs).toEqual([]);
});

test("start_agent_session: a failed or stopped child is a tool error with its session and the next step", async () => {
  await using t = await world();
  const agent = await t.w.agent();
  const failing = agent.call("start_agent_session", { prompt: "x" });
  const run = await t.c.execute(t.runner, "failed");
  expect(await failing).toMatchObject({
    isError: true,
    text: expect.stringMatching(new RegExp(`${run.session_id} failed: it broke.*resume_agent_session`)),
  });
  const stopping = agent.call("start_agent_session", { prompt: "x" });
  await t.c.execute(t.runner, "stopped");
  expect(await stopping).toMatchObject({ isError: true, text: expect.stringContaining("was stopped") });
});

test("start_agent_session: a child may have no result; a long result is truncated", async () => {
  await using t = await world();
  const agent = await t.w.agent();
  const silent = agent.call("start_agent_session", { prompt: "x" });
  await t.c.execute(t.runner, "completed");
  expect((await silent).value).toMatchObject({ result_text: null, result_data: null });
  const long = agent.call("start_agent_session", { prompt: "x" });
  await t.c.execute(t.runner, "completed", "y".repeat(60_000));
  const { result_text: text } = (await long).value;
  expect(text).toEndWith("y\n\n[Result truncated at 50000 characters]");
  expect(text.length).toBeLessThan(50_100);
});

test("start_agent_session: a limit of the tree is a tool error", async () => {
  await using t = await world();
  for (const [child, parent] of [
    ["l1", "root"],
    ["l2", "l1"],
    ["l3", "l2"],
  ])
    await t.c.start({ session_id: child, parent_session_id: parent });
  const deep = t.w.gateway.grant("run_l3", "l3");
  const answer = await (await t.w.agent({}, t.w.gateway.mcpUrlOf(deep))).call("start_agent_session", { prompt: "x" });
  expect(answer).toMatchObject({ isError: true, text: expect.stringContaining("--max-depth") });
});

test("resume_agent_session: continues a child's session; refuses unknown, foreign and own sessions", async () => {
  await using t = await world();
  await t.c.start({ session_id: "foreign" });
  await t.c.execute(t.runner, "completed", "x");
  const agent = await t.w.agent();
  const first = agent.call("start_agent_session", { prompt: "one" });
  const { session_id } = await t.c.execute(t.runner, "completed", "1");
  await first;
  const second = agent.call("resume_agent_session", { session_id, prompt: "two" });
  expect(await t.c.execute(t.runner, "completed", "2")).toMatchObject({
    type: "resume_session",
    session_id,
    prompt: "two",
    parent_session_id: "root",
  });
  expect((await second).value).toEqual({ session_id, result_text: "2", result_data: null });
  // A run that said nothing has no result, whatever an earlier run of its session said.
  const silent = agent.call("resume_agent_session", { session_id, prompt: "three" });
  await t.c.execute(t.runner, "completed");
  expect((await silent).value).toEqual({ session_id, result_text: null, result_data: null });
  await agent.call("resume_agent_session", { session_id, prompt: "four", mode: "async_poll" });
  await t.c.execute(t.runner, "completed");
  expect((await agent.call("get_agent_session_result", { session_id })).value).toMatchObject({ result_text: null });
  for (const id of ["foreign", "nobody"]) {
    expect(await agent.call("resume_agent_session", { session_id: id, prompt: "x" })).toMatchObject({
      isError: true,
      text: expect.stringContaining("not one of your sessions"),
    });
  }
  const own = await agent.call("resume_agent_session", { session_id: "root", prompt: "x" });
  expect(own).toMatchObject({ isError: true, text: expect.stringContaining("async_poll") });
  expect(
    (await agent.call("resume_agent_session", { session_id: "root", prompt: "x", mode: "async_poll" })).isError,
  ).toBe(false);
});

test("get_agent_session_status: returns at once, at the end or at the time-out; refuses foreign sessions", async () => {
  await using t = await world();
  const agent = await t.w.agent();
  const { session_id } = (await agent.call("start_agent_session", { prompt: "x", mode: "async_poll" })).value;
  expect((await agent.call("get_agent_session_status", { session_id })).value).toEqual({
    session_id,
    status: "pending",
  });
  expect((await agent.call("get_agent_session_status", { session_id, wait_seconds: 0.05 })).value).toEqual({
    session_id,
    status: "pending",
  });
  const waiting = agent.call("get_agent_session_status", { session_id, wait_seconds: 60 });
  await until("it waits", () => t.w.waiting.length === 1);
  await t.c.execute(t.runner, "completed", "x");
  expect((await waiting).value).toEqual({ session_id, status: "finished" });
  expect(t.w.waiting).toEqual([]);
  expect(await agent.call("get_agent_session_status", { session_id: "nobody" })).toMatchObject({ isError: true });
});

test("get_agent_session_result: of a finished session; otherwise a tool error with the next step", async () => {
  await using t = await world();
  const agent = await t.w.agent();
  const { session_id } = (await agent.call("start_agent_session", { prompt: "x", mode: "async_poll" })).value;
  const early = await agent.call("get_agent_session_result", { session_id });
  expect(early).toMatchObject({ isError: true, text: expect.stringMatching(/it is pending.*wait_seconds/) });
  await t.c.execute(t.runner, "completed", "done");
  expect((await agent.call("get_agent_session_result", { session_id })).value).toEqual({
    session_id,
    result_text: "done",
    result_data: null,
  });
});

test("list_agent_sessions and delete_all_agent_sessions: the descendants of the own session only", async () => {
  await using t = await world();
  await t.c.start({ session_id: "foreign" });
  for (const [child, parent] of [
    ["a", "root"],
    ["leaf", "a"],
    ["b", "root"],
  ])
    await t.c.start({ session_id: child, parent_session_id: parent });
  const agent = await t.w.agent();
  const listed = JSON.parse((await agent.call("list_agent_sessions")).text) as { session_id: string }[];
  expect(listed.map(({ session_id }) => session_id)).toEqual(["b", "leaf", "a"]);
  expect(listed[2]).toEqual({
    session_id: "a",
    status: "pending",
    agent_name: null,
    created_at: expect.any(String),
    last_resumed_at: null,
  } as never);
  expect((await agent.call("list_agent_sessions", { response_format: "markdown" })).text).toContain(
    "## leaf\n- status: pending",
  );
  expect((await agent.call("delete_all_agent_sessions")).value).toEqual({ deleted_count: 3 });
  const remaining = (await t.c.get("/sessions")).body.sessions.map(
    ({ session_id }: { session_id: string }) => session_id,
  );
  expect(remaining).toEqual(["foreign", "root"]);
});

test("X-Agent-Session-Id with another session is ignored", async () => {
  await using t = await world();
  await t.c.start({ session_id: "other" });
  for (const named of ["other", "root", "${AGENT_SESSION_ID}"]) {
    const { value } = await (
      await t.w.agent({ "X-Agent-Session-Id": named })
    ).call("start_agent_session", { prompt: "x", mode: "async_poll" });
    expect((await t.c.get(`/runs/${value.run_id}`)).body.parent_session_id).toBe("root");
  }
});

test("refuses a foreign Origin, a foreign Host and a revoked token", async () => {
  await using t = await world();
  const post = (headers: Record<string, string>): Promise<Response> =>
    fetch(t.w.mcpUrl, { method: "POST", body: "{}", headers: { "content-type": "application/json", ...headers } });
  expect((await post({ origin: "https://evil.example" })).status).toBe(403);
  expect((await post({ host: "evil.example" })).status).toBe(403);
  t.w.gateway.revoke(t.w.grant);
  expect((await post({})).status).toBe(401);
});
