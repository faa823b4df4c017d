import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { BINARY } from "../harness/binary.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** A coordinator and a runner with the test executor. */
async function both(world: World): Promise<CoordinatorApi> {
  const { api } = await world.coordinator();
  await world.runner(api.url, "test-executor").line(/Runner started/);
  return api;
}

test("submit --wait: only the result on stdout, the progress on stderr, exit code 0", async () => {
  await using world = new World();
  const api = await both(world);
  const { code, stdout, stderr } = await world.run(["submit", "-c", api.url, "--wait", "good day"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\[test-executor\] turn 1 of session ses_\w+: good day\n$/);
  expect(stderr).toMatch(/Run run_\w+ of session ses_\w+/);
});

test("submit --wait: exit code 1 for a failed run, with its error on stderr", async () => {
  await using world = new World();
  const api = await both(world);
  const { code, stdout, stderr } = await world.run(["submit", "-c", api.url, "--wait", "!fail out of coffee"]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("out of coffee");
});

test("stop: submit --wait of the run ends with exit code 3", async () => {
  await using world = new World();
  const api = await both(world);
  const submit = world.start(["submit", "-c", api.url, "--wait", "!write here yes\n!sleep 5m"]);
  await world.file("here");
  const runId = /run_\w+/.exec(submit.stderr())?.[0] ?? "";
  const stop = await world.run(["stop", "-c", api.url, runId]);
  expect(stop).toEqual({ code: 0, stdout: `${runId}: stopping\n`, stderr: "" });
  expect(await submit.exited).toBe(3);
  expect(submit.stdout()).toBe("");
});

test("stop: a session by its id, and an unknown id", async () => {
  await using world = new World();
  const api = await both(world);
  const run = await api.submit("!write here yes\n!sleep 5m");
  await world.file("here");
  expect((await world.run(["stop", "-c", api.url, run.session_id])).code).toBe(0);
  await api.reached(run.run_id, "stopped");
  expect((await world.run(["stop", "-c", api.url, "run_0123456789ab"])).code).toBe(1);
});

test("submit: no coordinator is exit code 4, with the command that starts one", async () => {
  await using world = new World();
  const env = { CLAUDE_CODE_PATH: world.path("no-claude") };
  const { code, stdout, stderr } = await world.run(["submit", "-c", "http://127.0.0.1:1", "--wait", "hello"], { env });
  expect([code, stdout]).toEqual([4, ""]);
  expect(stderr).toContain(`Start one with: ${BINARY} up -x test-executor (`);
});

test("submit without --wait: the run's id on stdout; - reads the prompt from stdin; --session resumes", async () => {
  await using world = new World();
  const api = await both(world);
  const first = await world.run(["submit", "-c", api.url, "-"], { stdin: "from a pipe" });
  expect(first.stdout).toMatch(/^run_\w+\n$/);
  await api.reached(first.stdout.trim(), "completed");
  const { session_id } = await api.run(first.stdout.trim());
  expect(await api.result(session_id)).toContain("from a pipe");
  const resumed = await world.run(["submit", "-c", api.url, "--wait", "--session", session_id, "and again"]);
  expect(resumed.stdout).toContain(`turn 2 of session ${session_id}: and again`);
});

test("submit --wait --session: a run that says nothing has no result, whatever an earlier run said", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const path = world.path("speaks-once");
  writeFileSync(path, '#!/bin/sh\ngrep -q \'"mode": *"resume"\' && exit 0\necho FIRST ANSWER\n', { mode: 0o755 });
  await world.start(["-c", api.url, "-e", path]).line(/Runner started/);
  const first = await world.run(["submit", "-c", api.url, "--json", "--wait", "hello"]);
  const { session_id, result } = JSON.parse(first.stdout) as { session_id: string; result: string };
  expect(result).toBe("FIRST ANSWER");
  const resume = ["submit", "-c", api.url, "--wait", "--session", session_id, "and now?"];
  expect(await world.run(resume)).toMatchObject({ code: 0, stdout: "" });
  const asJson = await world.run([...resume, "--json"]);
  expect(JSON.parse(asJson.stdout)).toMatchObject({ session_id, status: "completed", result: null });
});

test("submit --json --wait: one JSON object on stdout", async () => {
  await using world = new World();
  const api = await both(world);
  const { code, stdout } = await world.run(["submit", "-c", api.url, "--json", "--wait", "good day"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    status: "completed",
    error: null,
    result: expect.stringContaining("good day"),
  });
});

test("submit --wait continues after an outage of the coordinator", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  world.runner(api.url, "waits-for-release");
  const submit = world.start(["submit", "-c", api.url, "--wait", "hello"]);
  const [{ run_id } = { run_id: "" }] = await until("the run", async () => {
    const runs = await api.runs();
    return runs.length > 0 ? runs : null;
  });
  await world.file(`${run_id}.ready`);
  process.signal("SIGKILL");
  await process.exited;
  await world.coordinator(Number(new URL(api.url).port));
  await Bun.write(world.path(`${run_id}.release`), "0");
  expect(await submit.exited).toBe(0);
  expect(submit.stdout()).toBe("released\n");
});

test("runs, sessions, runners: JSON arrays, and tables with headings", async () => {
  await using world = new World();
  const api = await both(world);
  const { run_id, session_id } = await api.submit("good day");
  await api.reached(run_id, "completed");
  const list = async (name: string): Promise<unknown> =>
    JSON.parse((await world.run([name, "-c", api.url, "--json"])).stdout) as unknown;
  expect(await list("runs")).toMatchObject([{ run_id, session_id, status: "completed" }]);
  expect(await list("sessions")).toMatchObject([{ session_id, status: "finished" }]);
  expect(await list("runners")).toMatchObject([
    { executor_type: "test-executor", status: "online", project_dir: world.projectDir },
  ]);
  const table = await world.run(["runs", "-c", api.url]);
  expect(table.stdout).toMatch(new RegExp(`^RUN .*STATUS.*\\n${run_id} +completed`));
});

test("runs --json: whole beyond the buffer of a pipe", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const prompt = "x".repeat(2_000_000);
  await api.submit(prompt);
  const { code, stdout } = await world.run(["runs", "-c", api.url, "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject([{ prompt }]);
});

test("a coordinator with a token: exit code 1 with a hint without it, success with it", async () => {
  await using world = new World();
  const coordinator = world.start(["coordinator", "--port", "0"], { env: { AGENT_COORDINATOR_TOKEN: "sesame-open" } });
  const [, url = ""] = await coordinator.line(/agent-runner -c (\S+)/);
  const refused = await world.run(["runs", "-c", url]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("AGENT_COORDINATOR_TOKEN");
  const env = { AGENT_COORDINATOR_TOKEN: "sesame-open" };
  const runner = world.runner(url, "test-executor", [], env);
  await runner.line(/Runner started/);
  const { code, stdout } = await world.run(["submit", "-c", url, "--wait", "good day"], { env });
  expect(code).toBe(0);
  expect(stdout).toContain("good day");
  expect(coordinator.stdout() + runner.stdout()).not.toContain("sesame-open");
});

test("submit: a prompt of 8 MiB is a run, and a longer one is refused with the limit before it is sent", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const size = 8 * 1024 * 1024;
  const taken = await world.run(["submit", "-c", api.url, "-"], { stdin: "x".repeat(size) });
  expect(taken.code).toBe(0);
  expect(await api.run(taken.stdout.trim())).toMatchObject({ prompt: "x".repeat(size) });
  const refused = await world.run(["submit", "-c", api.url, "-"], { stdin: "x".repeat(size + 1) });
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("8388608 (8 MiB) is the limit");
});
