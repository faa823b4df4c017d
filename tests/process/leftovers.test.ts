import { expect, test } from "bun:test";
import type { ProcessEntry } from "../../src/process/process-table.ts";
import { Leftovers, leftoversIn } from "../../src/process/leftovers.ts";
import { isAlive, killProcess } from "../harness/processes.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { type Place, place, startScript } from "./started-process.ts";

const isLinux = process.platform === "linux";
const AT_ONCE = { coalesce: false };
let count = 0;
const newRunId = (): string => `run_leftovers_${process.pid}_${++count}`;

/** Runs a script that prints the pids of its leftovers and ends. */
async function startLeftovers(
  at: Place,
  runId: string,
  script: string,
  pids = 1,
): Promise<{ leader: { pid: number; startedAt: string }; pids: number[] } & AsyncDisposable> {
  const run = startScript(at, script, { runId });
  await run.process.exited;
  const found = await until("the pids of the leftovers", () => {
    const numbers = run.stdout().split("\n").map(Number).filter(Boolean);
    return numbers.length >= pids ? numbers : null;
  });
  return {
    leader: { pid: run.process.pid, startedAt: run.process.startedAt },
    pids: found,
    async [Symbol.asyncDispose]() {
      for (const pid of found) killProcess(pid);
      await run[Symbol.asyncDispose]();
    },
  };
}

test("Leftovers: ends a child in the executor's group", async () => {
  using at = place();
  const runId = newRunId();
  await using left = await startLeftovers(at, runId, "sleep 300 & echo $!");
  expect(await new Leftovers().end({ runId, leader: left.leader, graceMs: 5_000 }, AT_ONCE)).toEqual({
    ended: 1,
    left: [],
  });
  expect(left.pids.map(isAlive)).toEqual([false]);
});

test("Leftovers: a runner that was suspended before its first signal does not give up without one", async () => {
  using at = place();
  const runId = newRunId();
  await using left = await startLeftovers(at, runId, "trap '' TERM; sleep 300 & echo $!");
  const ended = new Leftovers(null, { giveUpMs: 2_000 }).end({ runId, leader: left.leader, graceMs: 0 }, AT_ONCE);
  // Blocks the scans, as a suspended machine does.
  Bun.sleepSync(2_200);
  expect(await ended).toEqual({ ended: 1, left: [] });
  expect(left.pids.map(isAlive)).toEqual([false]);
});

test.if(isLinux)("Leftovers: ends a child that left group and session with setsid", async () => {
  using at = place();
  const runId = newRunId();
  await using left = await startLeftovers(at, runId, "setsid sh -c 'echo $$; exec sleep 300' &");
  expect(await new Leftovers().end({ runId, leader: left.leader, graceMs: 5_000 }, AT_ONCE)).toEqual({
    ended: 1,
    left: [],
  });
  expect(left.pids.map(isAlive)).toEqual([false]);
});

test.if(isLinux)(
  "Leftovers: ends a child that cleared its environment and left the session, found by its marked parent",
  async () => {
    using at = place();
    const runId = newRunId();
    const script = "setsid sh -c 'echo $$; env -i setsid sh -c \"echo \\$\\$; exec sleep 300\" & sleep 300' &";
    await using left = await startLeftovers(at, runId, script, 2);
    const ended = await new Leftovers().end({ runId, leader: left.leader, graceMs: 5_000 }, AT_ONCE);
    expect(ended).toEqual({ ended: expect.any(Number), left: [] });
    expect(left.pids.map(isAlive)).toEqual([false, false]);
  },
);

test.if(isLinux)(
  "Leftovers: ends a child that cleared its environment and left the group, found by its session",
  async () => {
    using at = place();
    const runId = newRunId();
    await using left = await startLeftovers(at, runId, "set -m; env -i sleep 300 & echo $!");
    expect(await new Leftovers().end({ runId, leader: left.leader, graceMs: 5_000 }, AT_ONCE)).toEqual({
      ended: 1,
      left: [],
    });
    expect(left.pids.map(isAlive)).toEqual([false]);
  },
);

test("Leftovers: kills what ignores SIGTERM after the grace period, and not before", async () => {
  using at = place();
  const runId = newRunId();
  await using left = await startLeftovers(at, runId, "sh -c 'trap \"\" TERM; echo $$; exec sleep 300' &");
  const startedMs = performance.now();
  const ended = await new Leftovers().end({ runId, leader: left.leader, graceMs: 400 }, AT_ONCE);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(400);
  expect(ended).toEqual({ ended: 1, left: [] });
  expect(left.pids.map(isAlive)).toEqual([false]);
});

test("Leftovers: the grace period counts from an earlier SIGTERM", async () => {
  using at = place();
  const runId = newRunId();
  await using left = await startLeftovers(at, runId, "sh -c 'trap \"\" TERM; echo $$; exec sleep 300' &");
  const termedAtMs = performance.now() - 60_000;
  const startedMs = performance.now();
  await new Leftovers().end({ runId, leader: left.leader, graceMs: 60_000, termedAtMs }, AT_ONCE);
  expect(performance.now() - startedMs).toBeLessThan(AT_ONCE_MS);
  expect(left.pids.map(isAlive)).toEqual([false]);
});

test("Leftovers: a child can clean up on SIGTERM", async () => {
  using at = place();
  const runId = newRunId();
  // The child prints its pid after it set the trap.
  const script = `sh -c 'trap "echo cleaned >${at.path}/cleaned; exit" TERM; echo $$; while :; do sleep 0.02; done' &`;
  await using left = await startLeftovers(at, runId, script);
  await new Leftovers().end({ runId, leader: left.leader, graceMs: 10_000 }, AT_ONCE);
  expect(await Bun.file(`${at.path}/cleaned`).text()).toBe("cleaned\n");
});

test("Leftovers: touches no process of another run, or of no run", async () => {
  using at = place();
  using elsewhere = place();
  const runId = newRunId();
  await using other = startScript(elsewhere, "exec sleep 300", { runId: newRunId() });
  using elsewhereToo = place();
  await using unmarked = startScript(elsewhereToo, "exec sleep 300");
  await using left = await startLeftovers(at, runId, "sleep 300 & echo $!");
  await new Leftovers().end({ runId, leader: left.leader, graceMs: 5_000 }, AT_ONCE);
  expect([other, unmarked].map((run) => isAlive(run.process.pid))).toEqual([true, true]);
});

test("Leftovers: ends nothing if nothing is left", async () => {
  expect(await new Leftovers().end({ runId: newRunId(), leader: null, graceMs: 1_000 }, AT_ONCE)).toEqual({
    ended: 0,
    left: [],
  });
});

test("Leftovers: scans once for several runs, and counts for each", async () => {
  using at = place();
  const leftovers = new Leftovers();
  const ids = [newRunId(), newRunId(), newRunId()];
  await using first = await startLeftovers(at, ids[0] ?? "", "sleep 300 & echo $!; sleep 300 & echo $!", 2);
  await using second = await startLeftovers(at, ids[1] ?? "", "sleep 300 & echo $!");
  const leaders = [first.leader, second.leader, null];
  const ended = await Promise.all(
    ids.map((runId, i) => leftovers.end({ runId, leader: leaders[i] ?? null, graceMs: 5_000 }, { coalesce: true })),
  );
  expect(ended.map(({ ended }) => ended)).toEqual([2, 1, 0]);
});

test("Leftovers: an urgent scan hurries a patient one", async () => {
  const leftovers = new Leftovers();
  const waitsMs: number[] = [];
  for (let i = 0; i < 5; i++) {
    const startedMs = performance.now();
    const patient = leftovers.end({ runId: newRunId(), leader: null, graceMs: 0 }, { coalesce: true });
    await leftovers.end({ runId: newRunId(), leader: null, graceMs: 0 }, AT_ONCE);
    await patient;
    waitsMs.push(performance.now() - startedMs);
  }
  // A busy machine delays some of them. A patient scan waits 200 ms.
  expect(Math.min(...waitsMs)).toBeLessThan(150);
});

test("Leftovers: scans again after the last scan has ended", async () => {
  const leftovers = new Leftovers();
  for (let i = 0; i < 3; i++) {
    expect(await leftovers.end({ runId: newRunId(), leader: null, graceMs: 0 }, { coalesce: i === 1 })).toEqual({
      ended: 0,
      left: [],
    });
  }
});

const entry = (pid: number, more: Partial<ProcessEntry> = {}): ProcessEntry => ({
  pid,
  ppid: 1,
  group: pid,
  session: pid,
  startedAt: "1",
  runId: null,
  ...more,
});

const pidsIn = (table: readonly ProcessEntry[]): number[] =>
  leftoversIn(table, { runId: "run_1", leader: { pid: 100, startedAt: "5" } }).map(({ pid }) => pid);

test("leftoversIn: finds by marker, by the leader's session and by descent, in any order of the table", () => {
  const table = [
    entry(5, { ppid: 4 }),
    entry(4, { ppid: 3 }),
    entry(3, { runId: "run_1" }),
    entry(101, { group: 100, session: 100 }),
    entry(102, { group: 102, session: 100 }),
    entry(7),
  ];
  expect(pidsIn(table).toSorted((a, b) => a - b)).toEqual([3, 4, 5, 101, 102]);
});

test("leftoversIn: ignores a reused leader pid that belongs to another run", () => {
  expect(pidsIn([entry(100, { runId: "run_2" }), entry(101, { group: 100, session: 100, runId: "run_2" })])).toEqual(
    [],
  );
});

test("leftoversIn: uses the leader's group where the system reports no sessions", () => {
  expect(pidsIn([entry(101, { group: 100, session: null }), entry(102, { group: 102, session: null })])).toEqual([101]);
});

test("leftoversIn: never this program, even with the run's marker, nor its other children", () => {
  const own = entry(process.pid, { runId: "run_1" });
  expect(pidsIn([own, entry(9, { ppid: process.pid, runId: "run_2" }), entry(10, { ppid: process.pid })])).toEqual([]);
});
