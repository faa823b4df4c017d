import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const CANNOT = /This machine cannot run the executor \(.*\): taking no runs until it can/g;

test.each(["the executor", "the project directory"])(
  "%s that goes away costs no run, and is told once",
  async (what) => {
    await using world = new World();
    const folder = `${world.home}/executors/own`;
    const project = `${world.home}/mount`;
    mkdirSync(folder, { recursive: true });
    mkdirSync(project);
    await Bun.write(`${folder}/ao-own-exec`, "#!/bin/sh\ncat >/dev/null\n");
    chmodSync(`${folder}/ao-own-exec`, 0o755);
    const { api } = await world.coordinator();
    const broken = world.start(["-c", api.url, "-e", `${folder}/ao-own-exec`, "-p", project]);
    await broken.line(/Runner started/);
    const lost = what === "the executor" ? folder : project;
    renameSync(lost, `${lost}.gone`);
    const runs = await Promise.all(Array.from({ length: 6 }, () => api.submit("x", { project_dir: world.projectDir })));
    await broken.line(CANNOT);
    const states = (await api.runs()).map(({ status }) => status);
    expect(states.filter((status) => status !== "pending" && status !== "claimed")).toEqual([]);
    renameSync(`${lost}.gone`, lost);
    await broken.line(/This machine can run the executor again/);
    for (const { run_id } of runs) await api.reached(run_id, "completed");
    expect(broken.stdout().match(CANNOT)).toHaveLength(1);
  },
);

describe.each(["first", "second"] as const)(
  "a coordinator of the %s generation, which takes no run back",
  (generation) => {
    async function broken(
      world: World,
      script: string,
    ): Promise<{ fake: FakeCoordinator; path: string; line: Started }> {
      const fake = world.own(await FakeCoordinator.start({ generation }));
      mkdirSync(`${world.home}/executors/own`, { recursive: true });
      const path = `${world.home}/executors/own/ao-own-exec`;
      await Bun.write(path, script);
      chmodSync(path, 0o755);
      const started = world.start(["-c", fake.url, "-e", path]);
      await started.line(/Runner started/);
      return { fake, path, line: (pattern) => started.line(pattern) };
    }

    test("a claimed run waits for the machine", async () => {
      await using world = new World();
      const { fake, path, line } = await broken(world, "#!/bin/sh\ncat >/dev/null\n");
      renameSync(path, `${path}.gone`);
      const run = fake.queue({ prompt: "x" });
      await line(CANNOT);
      expect(fake.reportsOf(run)).toEqual([]);
      renameSync(`${path}.gone`, path);
      await until("the run to complete", () => run.status === "completed", 60_000);
      expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
    });

    test("an executor that says that the machine cannot fails one run, with its reason", async () => {
      await using world = new World();
      const { fake, line } = await broken(world, "#!/bin/sh\necho 'nobody is logged in' >&2\nexit 78\n");
      const runs = [fake.queue({ prompt: "x" }), fake.queue({ prompt: "y" }), fake.queue({ prompt: "z" })];
      await line(CANNOT);
      await until("the report", () => runs.some(({ status }) => status === "failed"));
      const failed = runs.filter(({ status }) => status === "failed");
      expect(failed[0]?.error).toContain("nobody is logged in");
      expect(fake.reportsOf(failed[0] ?? fail())).toEqual(["started", "failed"]);
    });
  },
);

/** Makes one call to the gateway, then says that this machine cannot. */
const SAYS_SO_AFTER = `#!${process.execPath}
const { session_id } = JSON.parse(await Bun.stdin.text());
const [method, path, body] = JSON.parse(await Bun.file(process.env.CALL_FILE).text());
const url = process.env.AGENT_ORCHESTRATOR_API_URL + path.replace("OWN", session_id);
const timestamp = new Date().toISOString();
const sent = body && JSON.stringify(path.endsWith("/events") ? { session_id, timestamp, ...body } : body);
const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
const answer = await fetch(url, { method, body: sent, headers });
console.error("nobody is logged in (" + answer.status + ")");
process.exit(78);
`;

type Call = readonly [method: string, path: string, body?: object];
const EVENTS = "/sessions/OWN/events";
const BEFORE_WORK: Readonly<Record<string, Call>> = {
  "it bound its session": ["POST", "/sessions/OWN/bind", { executor_session_id: "e1" }],
  "it told the start of the turn": ["POST", EVENTS, { event_type: "session_start" }],
  "it told the user's message": ["POST", EVENTS, { event_type: "message", role: "user", content: [] }],
  "it told why the turn ended": ["POST", EVENTS, { event_type: "ending", reason: "refused" }],
  "it read the agents": ["GET", "/agents"],
  "it asked for the tools": ["POST", "/mcp", { jsonrpc: "2.0", id: 1, method: "ping" }],
};
const AFTER_WORK: Readonly<Record<string, Call>> = {
  "it ran a tool": ["POST", EVENTS, { event_type: "post_tool", tool_name: "Bash" }],
  "it told a tool's start by the short path": ["POST", "/events", { event_type: "pre_tool", tool_name: "Bash" }],
  "it answered": ["POST", EVENTS, { event_type: "message", role: "assistant", content: [] }],
  "it started a child": ["POST", "/runs", { type: "start_session", prompt: "child", agent_name: "nobody-runs-this" }],
  "it started a child with a tool": [
    "POST",
    "/mcp",
    {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "start_agent_session", arguments: { prompt: "child", mode: "async_poll" } },
    },
  ],
};

async function playSaysSo(world: World, call: Call): Promise<{ api: CoordinatorApi; runId: string }> {
  const executor = `${world.home}/executors/own/ao-own-exec`;
  mkdirSync(`${world.home}/executors/own`, { recursive: true });
  writeFileSync(executor, SAYS_SO_AFTER);
  chmodSync(executor, 0o755);
  writeFileSync(`${world.home}/call`, JSON.stringify(call));
  const { api } = await world.coordinator();
  const runner = world.start(["-c", api.url, "-e", executor], { env: { CALL_FILE: `${world.home}/call` } });
  await runner.line(/Runner started/);
  const { run_id: runId } = await api.submit("x");
  await runner.line(CANNOT);
  return { api, runId };
}

test.each(Object.keys(BEFORE_WORK))("78 gives the run back after %s", async (name) => {
  await using world = new World();
  const { api, runId } = await playSaysSo(world, BEFORE_WORK[name] ?? fail());
  await api.reached(runId, "pending");
});

test.each(Object.keys(AFTER_WORK))("78 is a failure like any other after %s", async (name) => {
  await using world = new World();
  const { api, runId } = await playSaysSo(world, AFTER_WORK[name] ?? fail());
  await api.reached(runId, "failed");
  expect((await api.run(runId)).error).toMatch(/nobody is logged in \(20\d\)/);
});

type Started = (pattern: RegExp) => Promise<unknown>;
function fail(): never {
  throw new Error("no run failed");
}
