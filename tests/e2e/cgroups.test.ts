import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { ownCgroup } from "../harness/cgroups.ts";
import { isAlive, killGroupOf, killProcess, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { NOT_AN_ECHO_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const hasCgroups = ownCgroup !== null;

/** The daemon that `clears-environment` starts. Only the run's cgroup identifies it. */
async function daemonOf(world: World, run: FakeRun): Promise<number> {
  await world.file(`${run.run_id}.ready`);
  return until("the daemon's pid", () => Number(readFileSync(world.path(`${run.run_id}.escaped`), "utf8")));
}

async function kill(runner: StartedBinary): Promise<void> {
  runner.signal("SIGKILL");
  await runner.exited;
}

test.if(hasCgroups)(
  "after a normal end a daemon with a cleared environment is killed and logged; no cgroup remains",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const run = fake.queue();
    const runner = world.runner(fake.url, "clears-environment");
    const daemon = await daemonOf(world, run);
    await runner.line(/Ended 1 leftover\(s\) of run \w+/);
    expect([isAlive(daemon), world.cgroups, fake.reportsOf(run)]).toEqual([false, [], ["started", "completed"]]);
  },
);

test.if(hasCgroups)(
  "a stop kills a daemon with a cleared environment before it is reported; no cgroup remains",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const run = fake.queue({ prompt: "stay" });
    const runner = world.runner(fake.url, "clears-environment");
    const daemon = await daemonOf(world, run);
    expect(world.cgroups).toMatchObject([{ runId: run.run_id, pids: expect.arrayContaining([daemon]) }]);
    fake.state.stop(run);
    await until("stopped", () => run.status === "stopped");
    expect([isAlive(daemon), world.cgroups]).toEqual([false, []]);
    await runner.line(/Ended 1 leftover\(s\) of run/);
  },
);

test.if(hasCgroups).each(["is alive", "has ended"])(
  "after a kill of the runner, with an executor that %s, the next process kills the daemon and its cgroup",
  async (state) => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const run = fake.queue({ prompt: "stay" });
    const first = world.runner(fake.url, "clears-environment");
    const daemon = await daemonOf(world, run);
    await kill(first);
    const end = async (): Promise<void> => {
      const [pid = 0] = processesWith("AGENT_RUN_ID", run.run_id);
      killGroupOf(pid);
      await until("no other process of the run lives", () => processesWith("AGENT_RUN_ID", run.run_id).length === 0);
    };
    if (state !== "is alive") await end();
    expect(isAlive(daemon)).toBe(true);
    const next = world.runner(fake.url, "clears-environment");
    await next.line(/Adopted run/);
    if (state === "is alive") await end();
    await until("failed", () => run.status === "failed");
    await until("daemon and cgroup are gone", () => !isAlive(daemon) && world.cgroups.length === 0);
  },
);

test.if(hasCgroups)("three interrupts: processes in the runs' cgroups are killed too", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ prompt: "stubborn" });
  const runner = world.runner(fake.url, "clears-environment");
  const daemon = await daemonOf(world, run);
  for (const line of [/waiting for 1 run/, /Stopping 1 run/]) {
    runner.signal("SIGINT");
    await runner.line(line);
    await Bun.sleep(NOT_AN_ECHO_MS);
  }
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(130);
  await until("the daemon is gone", () => !isAlive(daemon));
});

test.if(hasCgroups)(
  "--keep-background: leftovers keep their cgroup, and a later process removes it once it is empty",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const [run, other] = [fake.queue(), fake.queue()];
    const first = world.runner(fake.url, "clears-environment", ["--keep-background"]);
    const daemons = [await daemonOf(world, run), await daemonOf(world, other)];
    await until("completed", () => run.status === "completed" && other.status === "completed");
    first.signal("SIGINT");
    expect(await first.exited).toBe(0);
    expect(daemons.map(isAlive)).toEqual([true, true]);
    killProcess(daemons[0] ?? 0);
    await until("the daemon is gone", () => !isAlive(daemons[0] ?? 0));
    const next = world.runner(fake.url, "clears-environment", ["--keep-background"]);
    await next.line(/Runner started/);
    expect(world.cgroups.map(({ runId }) => runId)).toEqual([other.run_id]);
    expect(isAlive(daemons[1] ?? 0)).toBe(true);
    killProcess(daemons[1] ?? 0);
  },
);
