import { expect, setDefaultTimeout, test } from "bun:test";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { NOT_AN_ECHO_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function areCompleted(api: CoordinatorApi, count: number): Promise<boolean> {
  const runs = await api.runs();
  return runs.length === count && runs.every(({ status }) => status === "completed");
}

const resumesOf = async (api: CoordinatorApi, sessionId: string): ReturnType<CoordinatorApi["runs"]> =>
  (await api.runs()).filter((run) => run.session_id === sessionId && run.type === "resume_session");

test("two children end while their parent is busy: one resume brings both results", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "test-executor");
  const parent = await api.submit("!child first child's task\n!child second child's task\n!wait go-on\nover to you");
  await until(
    "both children completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 2,
  );
  await Bun.write(world.path("go-on"), "");
  await until("all four completed", () => areCompleted(api, 4));
  const [resume, ...more] = await resumesOf(api, parent.session_id);
  expect(more).toEqual([]);
  expect(resume?.prompt).toContain("first child's task");
  expect(resume?.prompt).toContain("second child's task");
});

test("two children end one after the other while their parent is idle: one resume brings both results", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "test-executor");
  const parent = await api.submit(
    "!child !wait first-may-end\\nfirst child's task\n!child !wait second-may-end\\nsecond child's task\nover to you",
  );
  await api.reached(parent.run_id, "completed");
  await Bun.write(world.path("first-may-end"), "");
  await until(
    "one child completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 2,
  );
  await Bun.write(world.path("second-may-end"), "");
  await until("all four completed", () => areCompleted(api, 4));
  const resumes = await resumesOf(api, parent.session_id);
  expect(resumes).toHaveLength(1);
  for (const text of ['count="2"', "first child's task", "second child's task"])
    expect(resumes[0]?.prompt).toContain(text);
});

test("results that wait for a busy parent survive a kill of the coordinator", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  world.runner(api.url, "test-executor");
  const parent = await api.submit("!child first child's task\n!child second child's task\n!wait go-on\nover to you");
  await until(
    "both children completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 2,
  );
  process.signal("SIGKILL");
  await process.exited;
  await world.coordinator(Number(new URL(api.url).port));
  await Bun.write(world.path("go-on"), "");
  await until("all four completed", () => areCompleted(api, 4));
  const [resume] = await resumesOf(api, parent.session_id);
  expect(resume?.prompt).toContain("first child's task");
  expect(resume?.prompt).toContain("second child's task");
});

test("children end after a restart of coordinator and runner: the parent gets each result once", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  const runner = world.runner(api.url, "test-executor", ["--max-concurrent", "1"]);
  const parent = await api.submit(
    "!child first child's task\n!child second child's task\n!write asked yes\n!wait go-on\nover to you",
  );
  await world.file("asked");
  runner.signal("SIGINT");
  await runner.line(/Shutting down/);
  await Bun.write(world.path("go-on"), "");
  expect(await runner.exited).toBe(0);
  await api.reached(parent.run_id, "completed");
  expect((await api.runs()).filter(({ status }) => status === "pending").length).toBe(2);
  process.signal("SIGTERM");
  expect(await process.exited).toBe(0);

  await world.coordinator(Number(new URL(api.url).port));
  world.runner(api.url, "test-executor");
  const prompts = async (): Promise<string> =>
    (await resumesOf(api, parent.session_id)).map(({ prompt }) => prompt).join("\n");
  await until(
    "both results arrive",
    async () => /first child's task/.test(await prompts()) && /second child's task/.test(await prompts()),
  );
  await until("every run is completed", async () => areCompleted(api, (await api.runs()).length));
  for (const task of [/first child's task/g, /second child's task/g])
    expect((await prompts()).match(task)?.length).toBe(1);
});

test("a child stopped by its runner's shutdown: the next runner resumes the parent with that outcome", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "test-executor");
  const parent = await api.submit("!child !write child.ready yes\\n!sleep 5m\nover to you");
  await world.file("child.ready");
  await api.reached(parent.run_id, "completed");
  runner.signal("SIGINT");
  await runner.line(/Shutting down/);
  await Bun.sleep(NOT_AN_ECHO_MS);
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  const [resume] = await until("a resume", async () => {
    const found = await resumesOf(api, parent.session_id);
    return found.length > 0 ? found : null;
  });
  expect(resume).toMatchObject({ status: "pending", prompt: expect.stringContaining("stopped") });
  world.runner(api.url, "test-executor");
  await api.reached(resume?.run_id ?? "", "completed");
});
