import { expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

test("ten runs end during an outage of the coordinator: no outcome is lost", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  const runner = world.runner(api.url, "waits-for-release");
  const runs = await Promise.all(Array.from({ length: 10 }, (_, i) => api.submit(`run ${i}`)));
  for (const { run_id } of runs) await world.file(`${run_id}.ready`);

  process.signal("SIGKILL");
  await process.exited;
  await runner.line(/is away/);
  for (const [i, { run_id }] of runs.entries())
    await Bun.write(world.path(`${run_id}.release`), i % 2 === 0 ? "0" : "5");
  await until("all executors ended", async () => (await world.file("order")).match(/^end/gm)?.length === 10);

  await world.coordinator(Number(new URL(api.url).port));
  for (const [i, { run_id }] of runs.entries()) await api.reached(run_id, i % 2 === 0 ? "completed" : "failed");
  for (const { session_id } of runs.filter((_, i) => i % 2 === 0))
    expect(await api.result(session_id)).toBe("released");
  expect(runner.stdout().match(/is away/g)?.length).toBe(1);
  expect(runner.stdout().match(/is back after/g)?.length).toBe(1);
});

test("an executor waits out an outage of the coordinator: its result is complete", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  const runner = world.runner(api.url, "test-executor");
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  await world.file("ready");
  process.signal("SIGKILL");
  await process.exited;
  await runner.line(/is away/);
  await Bun.write(world.path("go-on"), "");
  await world.coordinator(Number(new URL(api.url).port));
  await api.reached(run.run_id, "completed");
  expect(await api.result(run.session_id)).toContain("hello");
});

test("running runs continue after a kill of the coordinator; new runs are claimed after its restart", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  world.runner(api.url, "waits-for-release");
  const run = await api.submit("first");
  await world.file(`${run.run_id}.ready`);
  process.signal("SIGKILL");
  await process.exited;
  await world.coordinator(Number(new URL(api.url).port));
  const next = await api.submit("second");
  await world.file(`${next.run_id}.ready`);
  for (const { run_id } of [next, run]) {
    await Bun.write(world.path(`${run_id}.release`), "0");
    await api.reached(run_id, "completed");
  }
  expect((await world.file("order")).match(/^begin/gm)?.length).toBe(2);
});

test("at the limit, with the built-in coordinator: a stop arrives, by a poll that claims nothing", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const first = await api.submit("first");
  world.runner(api.url, "sleeps", ["--max-concurrent", "1"]);
  await world.file(`${first.run_id}.ready`);
  const second = await api.submit("second");
  await api.stop(first.run_id);
  await api.reached(first.run_id, "stopped");
  await world.file(`${second.run_id}.ready`);
});

test("draining, with the built-in coordinator: a stop arrives, and the runner exits", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("first");
  const runner = world.runner(api.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGINT");
  await runner.line(/Shutting down/);
  await api.stop(run.run_id);
  expect(await runner.exited).toBe(0);
  expect((await api.run(run.run_id)).status).toBe("stopped");
});
