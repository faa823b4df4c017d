import { expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { processesWith } from "../harness/processes.ts";
import { type SmallDisk, smallDisk } from "../harness/small-disk.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const NO_ROOM = /\[ERROR\] agent-runner: No room for more runs on this machine \(.*\): taking no runs until there is/g;
const ROOM_AGAIN = /There is room again after .*: taking runs/g;

/** Fills the disk to the last byte. The returned function frees the space again. */
function fill(disk: SmallDisk): () => void {
  const names: string[] = [];
  for (let size = 8 * 1024 * 1024; size >= 1; size = Math.floor(size / 2)) {
    for (;;) {
      const name = join(disk.path, `ballast-${names.length}`);
      names.push(name);
      try {
        writeFileSync(name, Buffer.alloc(size));
      } catch {
        break;
      }
    }
  }
  return () => names.forEach((name) => rmSync(name, { force: true }));
}

const reached = (run: FakeRun, status: string): Promise<unknown> =>
  until(
    () => `${run.run_id} ${status}; it is ${run.status}`,
    () => run.status === status,
  );
const release = (world: World, run: FakeRun, code: string): Promise<number> =>
  Bun.write(world.path(`${run.run_id}.release`), code);
const linesLike = (runner: StartedBinary, pattern: RegExp): number => runner.stdout().match(pattern)?.length ?? 0;

test.skipIf(!smallDisk.isPossible)(
  "full disk: running runs continue and are reported, a claimed run waits, no more are claimed, all resumes by itself",
  async () => {
    using disk = smallDisk.mount(48);
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const running = fake.queue();
    const runner = world.runner(fake.url, "waits-for-release", ["--state-dir", disk.path]);
    await world.file(`${running.run_id}.ready`);
    const empty = fill(disk);

    const waiting = fake.queue();
    await runner.line(NO_ROOM);
    // One more poll may be in flight, sent while `waiting` was being prepared. It may still claim, and no other poll
    // follows. Checks for stops replace polls, seconds apart: at the second check, that poll has arrived.
    await until(
      "checks for stops in place of polls",
      () => fake.calls("GET /runs/:id").filter(({ id }) => id === running.run_id).length > 1,
    );
    await until("the open poll to end", () => fake.calls("GET /runner/runs").at(-1)?.answeredAt !== undefined);
    const [pending, toStop] = [fake.queue(), fake.queue()];
    await release(world, running, "5");
    await reached(running, "failed");
    expect([waiting.status, pending.status]).toEqual(["claimed", "pending"]);

    empty();
    await runner.line(ROOM_AGAIN);
    for (const run of [waiting, pending]) await release(world, run, "0");
    for (const run of [waiting, pending]) await reached(run, "completed");
    await world.file(`${toStop.run_id}.ready`);
    fake.state.stop(toStop);
    await reached(toStop, "stopped");
    for (const [run, end] of [
      [running, "failed"],
      [waiting, "completed"],
      [pending, "completed"],
      [toStop, "stopped"],
    ] as const) {
      expect(fake.reportsOf(run)).toEqual(["started", end]);
    }
    expect([linesLike(runner, NO_ROOM), linesLike(runner, ROOM_AGAIN)]).toEqual([1, 1]);
  },
);

test.skipIf(!smallDisk.isPossible)("full disk: a run that waits for room can be stopped", async () => {
  using disk = smallDisk.mount(48);
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.runner(fake.url, "waits-for-release", ["--state-dir", disk.path]);
  await runner.line(/Runner started/);
  fill(disk);
  const waiting = fake.queue();
  await runner.line(NO_ROOM);
  fake.state.stop(waiting);
  await reached(waiting, "stopped");
  expect(fake.reportsOf(waiting)).toEqual(["stopped"]);
});

test.skipIf(!smallDisk.isPossible)(
  "full disk, and the runner is killed: the next process adopts live and ended executors, with the correct exit status",
  async () => {
    using disk = smallDisk.mount(48);
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const [ends, lives] = [fake.queue(), fake.queue()];
    const first = world.runner(fake.url, "waits-for-release", ["--state-dir", disk.path]);
    for (const run of [ends, lives]) await world.file(`${run.run_id}.ready`);
    const empty = fill(disk);
    first.signal("SIGKILL");
    await first.exited;
    await release(world, ends, "7");
    await until("its processes to end", () => processesWith("AGENT_RUN_ID", ends.run_id).length === 0);

    const second = world.runner(fake.url, "waits-for-release", ["--state-dir", disk.path]);
    await reached(ends, "failed");
    expect(ends.error).toBe("Process exited with code 7");
    await second.line(new RegExp(`Adopted run ${lives.run_id}, whose executor lives`));
    await release(world, lives, "0");
    await reached(lives, "completed");
    await second.line(NO_ROOM);
    empty();
    const next = fake.queue();
    await release(world, next, "0");
    await reached(next, "completed");
    for (const run of [ends, lives, next]) expect(fake.reportsOf(run)).toHaveLength(2);
  },
);

test.skipIf(process.platform === "win32")(
  "no descriptors: runs that cannot start wait, running runs are watched and reported, and all resumes by itself",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const runs = Array.from({ length: 40 }, () => fake.queue());
    const runner = world.runner(fake.url, "waits-for-release", ["--max-concurrent", "0"], {}, { maxDescriptors: 72 });
    await runner.line(NO_ROOM);
    // Not by their status: a run may wait for room after its report `started`.
    const begun = async (): Promise<number> => (await world.file("order")).match(/begin /g)?.length ?? 0;
    await until("executors to begin", async () => (await begun()) > 3);
    expect(await begun()).toBeLessThan(40);
    for (const run of runs) await release(world, run, "0");
    for (const run of runs) await reached(run, "completed");
    for (const run of runs) expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
    const order = await world.file("order");
    for (const { run_id } of runs) expect(order.match(new RegExp(`begin ${run_id}`, "g"))).toHaveLength(1);
    const last = fake.queue();
    await release(world, last, "0");
    await reached(last, "completed");
  },
);
