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

const NO_ROOM =
  /\[ERROR\] agent-runner: No room for more runs on this machine \(.*\): taking none until there is; what runs goes on/g;
const ROOM_AGAIN = /There is room again after .*: taking runs/g;

/** Takes all that is left of the disk, to the last byte; what is returned gives it back. */
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
    20_000,
  );
const release = (world: World, run: FakeRun, code: string): Promise<number> =>
  Bun.write(world.path(`${run.run_id}.release`), code);
const linesLike = (runner: StartedBinary, pattern: RegExp): number => runner.stdout().match(pattern)?.length ?? 0;

test.skipIf(!smallDisk.isPossible)(
  "full disk: what runs goes on and is reported, what was claimed waits, nothing more is claimed, and it goes on by itself",
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
    // One more poll may be on its way: it was sent while the start of `waiting` was prepared, it may still claim, and no other is opened.
    // Looks for stops take the place of polls, seconds apart: at the second whatever was sent before the first has arrived.
    await until(
      "looks for stops in the poll's place",
      () => fake.calls("GET /runs/:id").filter(({ id }) => id === running.run_id).length > 1,
    );
    await until("the open poll has run out", () => fake.calls("GET /runner/runs").at(-1)?.answeredAt !== undefined);
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
  "full disk, and the runner is killed: the next takes up what lives and what ended, with the true exit status",
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
    await until("its end", () => processesWith("AGENT_RUN_ID", ends.run_id).length === 0);

    const second = world.runner(fake.url, "waits-for-release", ["--state-dir", disk.path]);
    await reached(ends, "failed");
    expect(ends.error).toBe("Process exited with code 7");
    await second.line(new RegExp(`Took up run ${lives.run_id}, whose executor lives`));
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
  "no descriptors: runs that cannot be started wait, those that run are watched and reported, and it goes on by itself",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const runs = Array.from({ length: 40 }, () => fake.queue());
    const runner = world.runner(fake.url, "waits-for-release", ["--max-concurrent", "0"], {}, { maxDescriptors: 72 });
    await runner.line(NO_ROOM);
    const begun = (): FakeRun[] => runs.filter(({ status }) => status === "running");
    expect(begun().length).toBeGreaterThan(3);
    expect(begun().length).toBeLessThan(40);
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
