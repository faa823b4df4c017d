import { expect, setDefaultTimeout, test } from "bun:test";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
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
    prompt: string;
    agent_blueprint: { mcp_servers: { o: object } };
  };
  const [, apiUrl] = /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${run.run_id}.env`)) ?? [];
  expect(invocation.prompt).toBe("<inputs>\ntopic: bees\ndepth: 2\n</inputs>");
  expect(invocation.agent_blueprint.mcp_servers.o).toEqual({ url: `${apiUrl}/mcp`, config: { k: `${apiUrl}/mcp` } });
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
