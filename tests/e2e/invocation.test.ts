import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function invocationOf(world: World, run: FakeRun): Promise<unknown> {
  await until("completed", () => run.status === "completed");
  return JSON.parse(await world.file(`${run.run_id}.stdin`)) as unknown;
}

async function environmentOf(world: World, run: FakeRun): Promise<Map<string, string>> {
  const lines = (await world.file(`${run.run_id}.env`)).split("\n");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

test("a start without an agent has exactly the fields of both schemas", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ prompt: 'grüße, "quoted"\nand a second line' });
  world.runner(fake.url, "records-invocation");
  expect(await invocationOf(world, run)).toEqual({
    schema_version: "2.0",
    mode: "start",
    session_id: run.session_id,
    prompt: 'grüße, "quoted"\nand a second line',
    parameters: { prompt: 'grüße, "quoted"\nand a second line' },
    project_dir: world.projectDir,
  });
});

test("a resume has no project_dir, and runs in the session's project folder", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  mkdirSync(world.path("sub"));
  const start = fake.queue({ project_dir: world.path("sub") });
  const resume = fake.queue({ type: "resume_session", session_id: start.session_id });
  world.runner(fake.url, "records-invocation");
  await until("completed", () => resume.status === "completed");
  expect((await world.file(`sub/${resume.run_id}.cwd`)).trim()).toBe(world.path("sub"));
  expect(JSON.parse(await world.file(`sub/${resume.run_id}.stdin`))).toEqual({
    schema_version: "2.0",
    mode: "resume",
    session_id: start.session_id,
    prompt: "do it",
    parameters: { prompt: "do it" },
  });
});

const BLUEPRINT = {
  name: "researcher",
  description: "finds things",
  system_prompt: "you are ${AGENT_SESSION_ID}",
  mcp_servers: {
    orchestrator: {
      type: "http",
      url: "${AGENT_ORCHESTRATOR_MCP_URL}",
      headers: { "X-Agent-Session-Id": "${AGENT_SESSION_ID}" },
    },
    local: { type: "stdio", command: "tool", args: ["--session", "${AGENT_SESSION_ID}"], env: { OTHER: "${UNKNOWN}" } },
  },
  skills: ["search"],
  tags: ["internal"],
  status: "active",
};

test("the executor gets the whole blueprint; only the placeholders of MCP servers are replaced", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.state.agents.set("researcher", BLUEPRINT);
  const run = fake.queue({ agent_name: "researcher" });
  world.runner(fake.url, "records-invocation");
  const invocation = (await invocationOf(world, run)) as { agent_blueprint: object };
  const apiUrl = (await environmentOf(world, run)).get("AGENT_ORCHESTRATOR_API_URL");
  expect(invocation.agent_blueprint).toEqual({
    ...BLUEPRINT,
    mcp_servers: {
      orchestrator: {
        type: "http",
        url: `${apiUrl}/mcp`,
        headers: { "X-Agent-Session-Id": run.session_id },
        config: { "X-Agent-Session-Id": run.session_id },
      },
      local: { type: "stdio", command: "tool", args: ["--session", run.session_id], env: { OTHER: "${UNKNOWN}" } },
    },
  });
});

test("a resume without an agent has the blueprint of the session's agent", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.state.agents.set("researcher", { agent: BLUEPRINT });
  const start = fake.queue({ agent_name: "researcher" });
  const resume = fake.queue({ type: "resume_session", session_id: start.session_id });
  world.runner(fake.url, "records-invocation");
  expect(await invocationOf(world, resume)).toMatchObject({ mode: "resume", agent_blueprint: { name: "researcher" } });
});

test("AGENT_INVOCATION_SCHEMA=2.2: the same fields with that version", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.state.agents.set("researcher", { name: "researcher" });
  const run = fake.queue({ agent_name: "researcher" });
  world.runner(fake.url, "records-invocation", [], { AGENT_INVOCATION_SCHEMA: "2.2" });
  expect(await invocationOf(world, run)).toEqual({
    schema_version: "2.2",
    mode: "start",
    session_id: run.session_id,
    prompt: "do it",
    parameters: { prompt: "do it" },
    project_dir: world.projectDir,
    agent_name: "researcher",
    agent_blueprint: { name: "researcher" },
  });
});

test("the environment has the run's variables, without the runner's secrets and Bun's variables", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "records-invocation", [], {
    AUTH0_DOMAIN: "a",
    AUTH0_RUNNER_CLIENT_ID: "b",
    AUTH0_RUNNER_CLIENT_SECRET: "c",
    AUTH0_CLIENT_SECRET: "d",
    AGENT_COORDINATOR_TOKEN: "secret",
    BUN_OPTIONS: "--smol",
    MY_OWN: "kept",
  });
  await until("completed", () => run.status === "completed");
  const env = await environmentOf(world, run);
  expect(env.get("AGENT_SESSION_ID")).toBe(run.session_id);
  expect(env.get("AGENT_RUN_ID")).toBe(run.run_id);
  expect(env.get("AGENT_ORCHESTRATOR_API_URL")).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}$/);
  expect(env.get("MY_OWN")).toBe("kept");
  expect([...env.keys()].filter((name) => /^(AUTH0|BUN_)|COORDINATOR_TOKEN/.test(name))).toEqual([]);
  expect((await world.file(`${run.run_id}.cwd`)).trim()).toBe(world.projectDir);
});
