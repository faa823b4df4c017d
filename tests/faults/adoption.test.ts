import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { groupOf, isAlive, killProcess, parentOf, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function kill(runner: StartedBinary): Promise<void> {
  runner.signal("SIGKILL");
  await runner.exited;
}

/** The pids of processes with the run's marker. */
const pidsOf = (runId: string): number[] => processesWith("AGENT_RUN_ID", runId);

/** The pids of the executor and its shim, without the processes that the executor starts and ends. */
const lastingPidsOf = (runId: string): number[] =>
  pidsOf(runId).filter((pid) => [pid, parentOf(pid)].includes(groupOf(pid)));

test("a killed runner leaves its executor alive; the next process watches it and reports it once", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  const pids = lastingPidsOf(run.run_id);
  expect(pids).toHaveLength(2);
  await kill(first);

  const second = world.runner(api.url, "waits-for-release");
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
  expect(lastingPidsOf(run.run_id)).toEqual(pids);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await api.reached(run.run_id, "completed");
  expect(await api.result(run.session_id)).toBe("released");
  expect(await world.file("order")).toBe(`begin ${run.run_id}\nend ${run.run_id}\n`);
});

test("an executor's calls work again through the runner's next process: same port, same token", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  const first = world.runner(api.url, "test-executor");
  await world.file("ready");
  await kill(first);
  await Bun.write(world.path("go-on"), "");
  world.runner(api.url, "test-executor");
  await api.reached(run.run_id, "completed");
  expect(await api.result(run.session_id)).toContain("hello");
  const types = (await api.events(run.session_id)).map(({ event_type }) => event_type);
  expect(types.filter((type) => type === "session_stop")).toHaveLength(1);
});

test.each([
  ["0", "completed"],
  ["5", "failed"],
])("an executor that exits with %s while no runner lives is reported %s by the next process", async (code, status) => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  await kill(first);
  await Bun.write(world.path(`${run.run_id}.release`), code);
  await until("the run's processes to end", () => pidsOf(run.run_id).length === 0);

  const second = world.runner(api.url, "waits-for-release");
  await api.reached(run.run_id, status);
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor has ended`));
  if (status === "completed") expect(await api.result(run.session_id)).toBe("released");
});

test("an executor that vanishes without a status while no runner lives is reported failed as vanished", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  await kill(first);
  for (const pid of pidsOf(run.run_id)) killProcess(pid);
  await until("the run's processes to end", () => pidsOf(run.run_id).length === 0);
  world.runner(api.url, "waits-for-release");
  await api.reached(run.run_id, "failed");
  // If the shim was killed last, it wrote the status of its child.
  expect((await api.run(run.run_id)).error).toMatch(/vanished without an exit status|ended by SIGKILL/);
});

/** Leaves of a run what a power cut may leave: the record before its start. */
function loseWhatWasNotFlushed(world: World, runId: string, bootId: string): void {
  const runFolder = join(world.stateDir, "runs", runId);
  for (const name of readdirSync(runFolder)) if (/^(?:begun|exit)/.test(name)) rmSync(join(runFolder, name));
  const [name = ""] = readdirSync(join(world.stateDir, "journals")).filter((each) => each.endsWith(".sqlite"));
  using journal = new Database(join(world.stateDir, "journals", name));
  journal.run("UPDATE runs SET phase = 'starting', identity = NULL");
  journal.run("UPDATE settings SET value = ? WHERE name = 'boot'", [bootId]);
}

test("after a power cut a run that was reported as started is not executed again: marks may be lost", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  await kill(first);
  for (const pid of pidsOf(run.run_id)) killProcess(pid);
  await until("the run's processes to end", () => pidsOf(run.run_id).length === 0);
  loseWhatWasNotFlushed(world, run.run_id, "an earlier boot");
  world.runner(api.url, "waits-for-release");
  await api.reached(run.run_id, "failed");
  expect((await api.run(run.run_id)).error).toContain("vanished without an exit status");
  expect((await world.file("order")).match(/begin /g)).toHaveLength(1);
});

test("the next process delivers a report that was not acknowledged when the runner was killed", async () => {
  await using world = new World();
  const { api, process: coordinator } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  await kill(coordinator);
  await first.line(/is away/);
  await Bun.write(world.path(`${run.run_id}.release`), "5");
  await first.line(new RegExp(`Run ${run.run_id} failed`));
  await kill(first);
  await world.coordinator(Number(new URL(api.url).port));
  world.runner(api.url, "waits-for-release");
  await api.reached(run.run_id, "failed");
});

test("the next process completes a stop that the killed runner had started, and reports it as a stop", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "ignores-sigterm");
  await first.line(/Starting session/);
  await until("the executor to start", () => pidsOf(run.run_id).length > 0);
  await api.stop(run.run_id);
  await first.line(new RegExp(`Stopping run ${run.run_id}`));
  await kill(first);
  world.runner(api.url, "ignores-sigterm");
  await api.reached(run.run_id, "stopped");
  expect(pidsOf(run.run_id)).toEqual([]);
});

test("ten kills with twenty runs in flight: executors live on, each run is executed and reported once", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runs = await Promise.all(Array.from({ length: 20 }, (_, i) => api.submit(`run ${i}`)));
  let runner = world.runner(api.url, "waits-for-release");
  for (const { run_id } of runs) await world.file(`${run_id}.ready`);
  const pids = runs.map(({ run_id }) => lastingPidsOf(run_id));
  for (let i = 0; i < 10; i++) {
    await kill(runner);
    runner = world.runner(api.url, "waits-for-release");
    // Kills at a different moment of the start each time.
    await runner.line([/Connecting/, /Adopted run/, /Registered|Reusing/, /Runner started/][i % 4] ?? /./);
  }
  await runner.line(/Runner started/);
  expect(runs.map(({ run_id }) => lastingPidsOf(run_id))).toEqual(pids);
  expect(pids.flat().every(isAlive)).toBe(true);
  for (const [i, { run_id }] of runs.entries())
    await Bun.write(world.path(`${run_id}.release`), i % 2 === 0 ? "0" : "5");
  for (const [i, { run_id }] of runs.entries()) await api.reached(run_id, i % 2 === 0 ? "completed" : "failed");
  const order = await world.file("order");
  for (const { run_id } of runs) expect([...order.matchAll(new RegExp(`(begin|end) ${run_id}`, "g"))]).toHaveLength(2);
});

test("handover: the runner exits at once without deregistering, and the next process adopts the run", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const first = world.runner(fake.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  const pids = lastingPidsOf(run.run_id);
  const { code, stdout } = await world.run(["handover"]);
  expect(code).toBe(0);
  expect(stdout).toContain(`pid ${first.pid}`);
  expect(await first.exited).toBe(0);
  expect(first.stdout()).toContain("Handing over 1 run(s) to the next process");
  expect(fake.calls("DELETE /runners/:id")).toEqual([]);
  expect(lastingPidsOf(run.run_id)).toEqual(pids);

  world.runner(fake.url, "waits-for-release");
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("the run to be completed", () => run.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

test.each([
  ["test-executor", "hello"],
  ["waits-for-release", "0"],
])("%s: its session_stop arrives once if the runner is killed before the answer", async (executor, prompt) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const parent = fake.queue({ session_id: "parent", extra: { status: "finished" } });
  Object.assign(fake.state.sessions.get(parent.session_id) ?? {}, { status: "finished" });
  parent.status = "completed";
  const isStop = (): boolean => fake.eventsOf(run).some(({ event_type }) => event_type === "session_stop");
  const killed = Promise.withResolvers<void>();
  // The answer to the event after which the session is finished comes too late for the runner.
  fake.always("POST /sessions/:id/events", async (handle) => {
    const answer = await handle();
    if (isStop()) await killed.promise;
    return answer;
  });
  const run = fake.queue({ prompt, parent_session_id: "parent", execution_mode: "async_callback" });
  const first = world.runner(fake.url, executor);
  if (executor === "waits-for-release") {
    await world.file(`${run.run_id}.ready`);
    await Bun.write(world.path(`${run.run_id}.release`), prompt);
  }
  await until("the session_stop to arrive", isStop);
  await kill(first);
  fake.always("POST /sessions/:id/events", null);
  killed.resolve();
  // The resume of the parent is claimed by nobody else, and is there before the second process looks.
  const resumes = (): FakeRun[] => [...fake.state.runs.values()].filter(({ type }) => type === "resume_session");
  await until("the parent's resume", () => resumes().length === 1);

  world.runner(fake.url, executor);
  await until("the run to be completed", () => run.status === "completed");
  expect(fake.eventsOf(run).filter(({ event_type }) => event_type === "session_stop")).toHaveLength(1);
  expect(resumes()).toHaveLength(1);
});

test("handover: reports that no runner is running", async () => {
  await using world = new World();
  const { code, stderr } = await world.run(["handover"]);
  expect(code).toBe(1);
  expect(stderr).toContain("No runner of this user is running");
});
