import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { commandLineOf, isAlive, isWatchdog, parentOf, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const SOON = ["--abandon-after", "1s"];
const LATER = ["--abandon-after", "1h"];

async function kill(runner: StartedBinary): Promise<void> {
  runner.signal("SIGKILL");
  await runner.exited;
}

/** The pids of processes with the run's marker. */
const pidsOf = (runId: string): number[] => processesWith("AGENT_RUN_ID", runId);

/** The pids of the shells that guard the runs of a runner. */
function watchdogsOf(runner: StartedBinary): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && isWatchdog(pid, runner.pid));
}

async function watchdogOf(runner: StartedBinary): Promise<number> {
  return until("the watchdog", () => watchdogsOf(runner)[0]);
}

/** Waits for the sleep of a watchdog whose runner is dead. `not` is the pid of an earlier one. */
async function sleepOf(watchdog: number, not?: number): Promise<number> {
  return until("the watchdog's sleep", () =>
    readdirSync("/proc")
      .map(Number)
      .find((pid) => pid !== not && parentOf(pid) === watchdog && commandLineOf(pid).startsWith("sleep ")),
  );
}

const untilEnded = (runId: string): Promise<unknown> =>
  until("the run's processes to end", () => pidsOf(runId).length === 0);

/** The journal of the only runner in the world. */
function journalOf(world: World): Database {
  const folder = join(world.stateDir, "journals");
  return new Database(join(folder, readdirSync(folder).find((name) => name.endsWith(".sqlite")) ?? ""));
}

const isLinux = process.platform === "linux";

test.if(isLinux)(
  "nobody comes back: executor, descendants and watchdog end, and the next runner reports why",
  async () => {
    await using world = new World();
    const { api } = await world.coordinator();
    const run = await api.submit("stay");
    const runner = world.runner(api.url, "leaves-grandchildren", SOON);
    await world.file(`${run.run_id}.ready`);
    const escaped = Number(await world.file(`${run.run_id}.escaped`));
    const watchdog = await watchdogOf(runner);
    await kill(runner);
    await untilEnded(run.run_id);
    expect(isAlive(escaped)).toBe(false);
    await until("the watchdog to end", () => !isAlive(watchdog));

    const next = world.runner(api.url, "leaves-grandchildren", SOON);
    await api.reached(run.run_id, "failed");
    expect(await api.run(run.run_id)).toMatchObject({
      error: "The runner did not come back for 1 s, so the executor was ended",
      reason: "interrupted",
    });
    await next.line(new RegExp(`WARNING.*No runner adopted run ${run.run_id} for 1 s, so it was ended`));
  },
);

test.if(isLinux)("an executor that ignores SIGTERM gets SIGKILL", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const runner = world.runner(api.url, "ignores-sigterm", SOON);
  await world.file(`${run.run_id}.ready`);
  await kill(runner);
  await untilEnded(run.run_id);
  world.runner(api.url, "ignores-sigterm", SOON);
  await api.reached(run.run_id, "failed");
  expect((await api.run(run.run_id)).error).toContain("did not come back for 1 s");
});

test.if(isLinux)("an executor that ended by itself without a runner is reported as it ended", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runs = [await api.submit("anything"), await api.submit("anything")];
  const runner = world.runner(api.url, "waits-for-release", SOON);
  for (const { run_id } of runs) await world.file(`${run_id}.ready`);
  const [ended, abandoned] = runs.map(({ run_id }) => run_id) as [string, string];
  await kill(runner);
  await Bun.write(world.path(`${ended}.release`), "0");
  await untilEnded(ended);
  await untilEnded(abandoned);
  world.runner(api.url, "waits-for-release", SOON);
  await api.reached(ended, "completed");
  await api.reached(abandoned, "failed");
});

test.if(isLinux)("a runner that comes back adopts, and its watchdog takes the place of the earlier one", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  let runner = world.runner(api.url, "waits-for-release", LATER);
  await world.file(`${run.run_id}.ready`);
  for (const how of ["killed", "handed over", "killed"]) {
    const watchdog = await watchdogOf(runner);
    if (how === "killed") await kill(runner);
    else expect((await world.run(["handover"])).code).toBe(0);
    const sleep = await sleepOf(watchdog);
    runner = world.runner(api.url, "waits-for-release", LATER);
    await runner.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
    await until("the earlier watchdog to end", () => !isAlive(watchdog) && !isAlive(sleep));
    expect(watchdogsOf(runner)).toHaveLength(1);
  }
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await api.reached(run.run_id, "completed");
  expect(await world.file("order")).toBe(`begin ${run.run_id}\nend ${run.run_id}\n`);
});

test.if(isLinux)("no watchdog stays: after a drain, after a kill without runs, after the third interrupt", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const start = async (
    executor = "waits-for-release",
  ): Promise<{ runner: StartedBinary; watchdog: number; runId: string }> => {
    const run = await api.submit("anything");
    const runner = world.runner(api.url, executor, LATER);
    await world.file(`${run.run_id}.ready`);
    return { runner, watchdog: await watchdogOf(runner), runId: run.run_id };
  };
  const release = async (runId: string): Promise<void> => {
    await Bun.write(world.path(`${runId}.release`), "0");
    await api.reached(runId, "completed");
  };

  const drained = await start();
  await release(drained.runId);
  drained.runner.signal("SIGINT");
  expect(await drained.runner.exited).toBe(0);
  await until("the watchdog to end", () => !isAlive(drained.watchdog));

  const killed = await start();
  await release(killed.runId);
  // The scan for leftovers follows the report.
  using journal = journalOf(world);
  const phase = journal.query<{ phase: string }, [string]>("SELECT phase FROM runs WHERE run_id = ?");
  await until("the scan for leftovers", () => phase.get(killed.runId)?.phase === "done");
  await kill(killed.runner);
  await until("the watchdog to end", () => !isAlive(killed.watchdog));

  // The executor must live until the third interrupt.
  const interrupted = await start("ignores-sigterm");
  for (const line of [/waiting for 1 run/, /Stopping 1 run/]) {
    interrupted.runner.signal("SIGINT");
    await interrupted.runner.line(line);
    // The program ignores a signal that follows another one sooner than 100 ms.
    await Bun.sleep(150);
  }
  interrupted.runner.signal("SIGINT");
  await interrupted.runner.exited;
  await until("the watchdog to end", () => !isAlive(interrupted.watchdog));
});

test.if(isLinux)("0: no watchdog, and a runner with 0 ends the watchdog of the runner before it", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release", LATER);
  await world.file(`${run.run_id}.ready`);
  const watchdog = await watchdogOf(first);
  await kill(first);
  const second = world.runner(api.url, "waits-for-release", ["--abandon-after", "0"]);
  await second.line(/Adopted run/);
  await until("the watchdog to end", () => !isAlive(watchdog));
  expect(watchdogsOf(second)).toEqual([]);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await api.reached(run.run_id, "completed");
});

test.if(isLinux)(
  "a suspended runner lives: nothing of it is ended, while another's executor in the same state folder is",
  async () => {
    await using world = new World();
    const { api } = await world.coordinator();
    const start = async (tag: string): Promise<{ runner: StartedBinary; runId: string }> => {
      const run = await api.submit("anything", { additional_demands: { executor_type: tag } });
      const runner = world.runner(api.url, tag, SOON);
      await world.file(`${run.run_id}.ready`);
      return { runner, runId: run.run_id };
    };
    const suspended = await start("waits-for-release");
    const killed = await start("ignores-sigterm");
    const pids = pidsOf(suspended.runId);
    suspended.runner.signal("SIGSTOP");
    await kill(killed.runner);
    // Takes longer than a second, and both began together.
    await untilEnded(killed.runId);
    expect(pids.some(isAlive)).toBe(true);
    expect(watchdogsOf(suspended.runner)).toHaveLength(1);
    suspended.runner.signal("SIGCONT");
    await Bun.write(world.path(`${suspended.runId}.release`), "0");
    await api.reached(suspended.runId, "completed");
    world.runner(api.url, "ignores-sigterm", SOON);
    await api.reached(killed.runId, "failed");
  },
);

test.if(isLinux)("a state folder that is deleted: the executor is ended, and no folder is created", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "waits-for-release", SOON);
  await world.file(`${run.run_id}.ready`);
  const watchdog = await watchdogOf(runner);
  await kill(runner);
  rmSync(world.stateDir, { recursive: true });
  await untilEnded(run.run_id);
  await until("the watchdog to end", () => !isAlive(watchdog));
  expect(existsSync(world.stateDir)).toBe(false);
});

test.if(isLinux).each(["the state folder was deleted", "it has another state folder"])(
  "the same runner comes back, but cannot adopt because %s: the executor is ended",
  async (why) => {
    await using world = new World();
    const { api } = await world.coordinator(0, ["--state-dir", join(world.home, "coordinator")]);
    const lost = await api.submit("anything");
    const first = world.runner(api.url, "waits-for-release", SOON);
    await world.file(`${lost.run_id}.ready`);
    await kill(first);
    const isDeleted = why.endsWith("deleted");
    if (isDeleted) rmSync(world.stateDir, { recursive: true });
    const other = isDeleted ? [] : ["--state-dir", join(world.home, "other")];
    world.runner(api.url, "waits-for-release", [...SOON, ...other]);
    const next = await api.submit("anything");
    await world.file(`${next.run_id}.ready`);
    await untilEnded(lost.run_id);
    expect(pidsOf(next.run_id).some(isAlive)).toBe(true);
    await Bun.write(world.path(`${next.run_id}.release`), "0");
    await api.reached(next.run_id, "completed");
  },
);

test.if(isLinux)("a reused pid gets no signal", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const runner = world.runner(api.url, "waits-for-release", SOON);
  await world.file(`${run.run_id}.ready`);
  const innocent = Bun.spawn(["sleep", "300"], { stdin: "ignore", detached: true });
  try {
    await kill(runner);
    using journal = journalOf(world);
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    const identity = JSON.stringify({ pid: innocent.pid, startedAt: "1", bootId });
    journal.query("UPDATE runs SET identity = ? WHERE run_id = ?").run(identity, run.run_id);
    await untilEnded(run.run_id);
    expect(isAlive(innocent.pid)).toBe(true);
  } finally {
    innocent.kill("SIGKILL");
  }
});

test.if(isLinux)("a sleep of the watchdog that is killed starts again, and nothing is ended early", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const runner = world.runner(api.url, "waits-for-release", LATER);
  await world.file(`${run.run_id}.ready`);
  const watchdog = await watchdogOf(runner);
  await kill(runner);
  const sleep = await sleepOf(watchdog);
  process.kill(sleep, "SIGTERM");
  await sleepOf(watchdog, sleep);
  expect(pidsOf(run.run_id).some(isAlive)).toBe(true);
  const next = world.runner(api.url, "waits-for-release");
  await next.line(/Adopted run/);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await api.reached(run.run_id, "completed");
});

test.if(isLinux)("doctor lists an executor without a runner; the command that it prints adopts it", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const stateDir = join(world.home, "another state");
  const runner = world.runner(api.url, "waits-for-release", [...LATER, "--state-dir", stateDir, "-t", "gpu"]);
  await world.file(`${run.run_id}.ready`);
  const doctor = async (): Promise<string> =>
    (await world.run(["doctor", "-c", api.url, "-x", "test-executor"])).stdout;
  expect(await doctor()).toContain("ok    executors without a runner: none");
  await kill(runner);
  const text = await doctor();
  expect(text).toMatch(
    new RegExp(
      `NOTE  executors without a runner: run ${run.run_id} \\(pid \\d+\\), running for .*, in ${world.projectDir}`,
    ),
  );
  const pid = Number(/pid (\d+)/.exec(text)?.[1]);
  expect(pidsOf(run.run_id)).toContain(pid);
  expect(text).toContain(`End it with: kill -- -${pid}`);
  const [, , words = ""] = /Adopt it with: (\S+) (.*)/.exec(text) ?? [];
  expect(words).toContain(`--state-dir '${stateDir}'`);
  expect(words).toContain("--tags gpu");
  const next = world.start(words.split(/ (?=--)/).flatMap((option) => option.replaceAll("'", "").split(/ (.*)/, 2)));
  await next.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
  expect(await doctor()).toContain("ok    executors without a runner: none");
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await api.reached(run.run_id, "completed");
});
