import { expect, setDefaultTimeout, test } from "bun:test";
import { dropAfter } from "../fakes/answers.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

test("second generation: parameters and resolved blueprint reach the executor, and no agent is fetched", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  const run = fake.queue({
    agent_name: "researcher",
    extra: {
      parameters: { topic: "bees", depth: 2 },
      resolved_agent_blueprint: {
        name: "researcher",
        mcp_servers: { o: { url: "${runner.orchestrator_mcp_url}", config: { k: "${runner.orchestrator_mcp_url}" } } },
      },
    },
  });
  world.runner(fake.url, "records-invocation");
  await until("completed", () => run.status === "completed");
  const invocation = JSON.parse(await world.file(`${run.run_id}.stdin`)) as {
    schema_version: string;
    prompt: string;
    parameters: object;
    agent_blueprint: { mcp_servers: { o: object } };
  };
  const [, apiUrl] = /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${run.run_id}.env`)) ?? [];
  expect(invocation).toMatchObject({
    schema_version: "2.2",
    prompt: "<inputs>\ntopic: bees\ndepth: 2\n</inputs>",
    parameters: { topic: "bees", depth: 2 },
  });
  const headers = { k: `${apiUrl}/mcp` };
  expect(invocation.agent_blueprint.mcp_servers.o).toEqual({ type: "http", url: headers.k, config: headers, headers });
  expect(fake.calls("GET /agents/:id")).toEqual([]);
});

test("second generation: stdout becomes a result event, and completed has the session's status", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  const run = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("completed", () => run.status === "completed");
  expect(fake.eventsOf(run)).toContainEqual(expect.objectContaining({ event_type: "result", result_text: "hello" }));
  expect(fake.calls("POST /runner/runs/:id/completed")[0]?.body).toMatchObject({
    status: "success",
    session_status: "finished",
  });
});

test("second generation: a result that the executor sent is not sent again", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  const run = fake.queue({ prompt: "good day" });
  world.runner(fake.url, "test-executor");
  await until("completed", () => run.status === "completed");
  expect(fake.eventsOf(run).filter(({ event_type }) => event_type === "result").length).toBe(1);
});

test("second generation: stop_sessions stops the session's runs only", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  const run = fake.queue();
  const other = fake.queue();
  world.runner(fake.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  await world.file(`${other.run_id}.ready`);
  fake.state.stop(run);
  await until("stopped", () => run.status === "stopped");
  expect(other.status).toBe("running");
});

test("second generation: script sync is ignored, with a log line", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  fake.state.messages.push({ sync_scripts: ["a"], remove_scripts: [] }, { something_new: true });
  const run = fake.queue();
  const runner = world.runner(fake.url, "prints-hello", ["-v"]);
  await until("completed", () => run.status === "completed");
  expect(runner.stdout()).toContain("Ignored an unknown message: sync_scripts, remove_scripts");
});

/** An agent as the second generation stores it: its MCP servers are references to a registry. */
function storeAgent(fake: FakeCoordinator, more: object = {}): void {
  fake.state.mcpServers.set("search", {
    id: "search",
    name: "Search",
    url: "http://search/${runtime.session_id}",
    default_config: { "X-Run": "${runtime.run_id}", "X-Deep": "no" },
  });
  fake.state.agents.set("researcher", {
    name: "researcher",
    description: "",
    system_prompt: "about ${params.topic} and ${params.missing} on ${runner.orchestrator_mcp_url}",
    mcp_servers: { web: { ref: "search", config: { "X-Deep": "${params.deep}" } } },
    ...more,
  });
}

interface Recorded {
  readonly agent_blueprint?: { readonly system_prompt: string; readonly mcp_servers: object };
}

/** Loses the answer to the first poll, so that the run is read from `GET /runs`. */
async function recovered(fake: FakeCoordinator, world: World): Promise<FakeRun> {
  const run = fake.queue({ agent_name: "researcher" });
  run.changed = { prompt: "go", topic: "bees", deep: true };
  fake.next("GET /runner/runs", dropAfter);
  world.runner(fake.url, "records-invocation");
  await until("an end", () => run.status === "completed" || run.status === "failed");
  return run;
}

test("second generation: a lost claim has its agent, resolved as the coordinator does", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  storeAgent(fake);
  const run = await recovered(fake, world);
  const { agent_blueprint } = JSON.parse(await world.file(`${run.run_id}.stdin`)) as Recorded;
  const [, apiUrl] = /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${run.run_id}.env`)) ?? [];
  expect(agent_blueprint).toMatchObject({
    system_prompt: `about bees and \${params.missing} on ${apiUrl}/mcp`,
    mcp_servers: {
      web: { url: `http://search/${run.session_id}`, headers: { "X-Run": run.run_id, "X-Deep": "True" } },
    },
  });
});

test.each([
  ["scope", { system_prompt: "${scope.a} ${env.HOME}" }, "the runner cannot know ${scope.a}, ${env.HOME}"],
  ["an MCP server", { mcp_servers: { a: { ref: "gone" } } }, "the coordinator's registry has no MCP server gone"],
])("second generation: a lost claim whose agent needs %s that is unknown fails", async (_, more, fault) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  storeAgent(fake, more);
  const run = await recovered(fake, world);
  expect([run.status, run.error]).toEqual(["failed", `Blueprint researcher could not be resolved: ${fault}`]);
  expect(fake.reportsOf(run)).toEqual(["failed"]);
});

test("second generation: a resume has the parameters of its session in its blueprint, a callback's too", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  storeAgent(fake);
  const start = fake.queue({ agent_name: "researcher" });
  start.changed = { prompt: "go", topic: "bees" };
  start.status = "completed";
  const resume = { type: "resume_session", session_id: start.session_id, agent_name: "researcher" };
  const blueprint = { name: "researcher", system_prompt: "about ${params.topic} for ${scope.tenant}" };
  const resumed = fake.queue({ ...resume, extra: { resolved_agent_blueprint: blueprint } });
  const called = fake.queue(resume);
  world.runner(fake.url, "records-invocation");
  await until("both completed", () => resumed.status === "completed" && called.status === "completed");
  const promptOf = async (run: FakeRun): Promise<string | undefined> =>
    (JSON.parse(await world.file(`${run.run_id}.stdin`)) as Recorded).agent_blueprint?.system_prompt;
  expect(await promptOf(resumed)).toBe("about bees for ${scope.tenant}");
  expect(await promptOf(called)).toStartWith("about bees and ${params.missing}");
});

test("second generation: an agent that the coordinator does not know starts without a blueprint", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second" }));
  const start = fake.queue({ agent_name: "gone" });
  const resume = fake.queue({ type: "resume_session", session_id: start.session_id, agent_name: "gone" });
  world.runner(fake.url, "records-invocation");
  await until("both completed", () => start.status === "completed" && resume.status === "completed");
  for (const run of [start, resume])
    expect(JSON.parse(await world.file(`${run.run_id}.stdin`)) as Recorded).not.toContainKey("agent_blueprint");
});
