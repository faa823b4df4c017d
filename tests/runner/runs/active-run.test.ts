import { expect, test } from "bun:test";
import type { ExecutorProcess } from "../../../src/process/spawn.ts";
import { ActiveRun, type RunState } from "../../../src/runner/runs/active-run.ts";
import { assignedRun } from "../assigned-run.ts";

/** A shortest path to each state. */
const PATHS: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: [],
  starting: ["starting"],
  running: ["starting", "running"],
  reporting: ["reporting"],
  ended: ["reporting", "ended"],
};
const STATES = Object.keys(PATHS) as RunState[];
const LEGAL = new Set([
  "queued starting",
  "queued reporting",
  "starting running",
  "starting reporting",
  "running reporting",
  "reporting ended",
]);

function runIn(state: RunState): ActiveRun {
  const run = new ActiveRun(assignedRun());
  for (const step of PATHS[state]) run.moveTo(step);
  return run;
}

for (const from of STATES) {
  for (const to of STATES) {
    const isLegal = LEGAL.has(`${from} ${to}`);
    test(`ActiveRun.moveTo: ${from} to ${to} is ${isLegal ? "possible" : "refused"}`, () => {
      const run = runIn(from);
      if (isLegal) run.moveTo(to);
      else expect(() => run.moveTo(to)).toThrow(`run run_1: no transition from ${from} to ${to}`);
      expect(run.state).toBe(isLegal ? to : from);
    });
  }
}

test("ActiveRun: reports each change once, with the state before it", () => {
  const seen: string[] = [];
  const run = new ActiveRun(assignedRun(), (changed, from) => seen.push(`${from} ${changed.state}`));
  for (const step of ["starting", "running", "reporting", "ended"] as const) run.moveTo(step);
  expect(seen).toEqual(["queued starting", "starting running", "running reporting", "reporting ended"]);
});

test("ActiveRun.cancel: the first reason counts", () => {
  const run = runIn("running");
  expect(run.cancel({ kind: "run-timeout", afterMs: 5 })).toBe(true);
  expect(run.cancel({ kind: "stop-command" })).toBe(false);
  expect(run.cancelReason).toEqual({ kind: "run-timeout", afterMs: 5 });
  expect(run.cancelled.aborted).toBe(true);
});

test.each(["queued", "starting", "running"] as const)("ActiveRun.cancel: works while %s", (state) => {
  expect(runIn(state).cancel({ kind: "stop-command" })).toBe(true);
});

test.each(["reporting", "ended"] as const)("ActiveRun.cancel: is too late while %s", (state) => {
  const run = runIn(state);
  expect(run.cancel({ kind: "stop-command" })).toBe(false);
  expect([run.cancelReason, run.cancelled.aborted]).toEqual([null, false]);
});

test("ActiveRun.kill: signals the executor if there is one", () => {
  const signals: string[] = [];
  const run = runIn("starting");
  run.kill();
  run.watch({ ...childOf(0).child, signalGroup: (signal: string) => signals.push(signal) });
  expect(run.state).toBe("running");
  run.kill();
  expect(signals).toEqual(["SIGKILL"]);
});

function childOf(age: number): { child: ExecutorProcess; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<{ code: number; signal: null }>();
  const child = { ageMs: age, exited: promise } as unknown as ExecutorProcess;
  return { child, end: () => resolve({ code: 0, signal: null }) };
}

test("ActiveRun.durationMs: from the executor's start to its end, whatever follows", async () => {
  const run = runIn("starting");
  expect(run.durationMs).toBeUndefined();
  const { child, end } = childOf(0);
  run.watch(child);
  // Time that a duration has to count, or not.
  await Bun.sleep(20);
  end();
  await Bun.sleep(0);
  const durationMs = run.durationMs ?? 0;
  expect(durationMs).toBeWithin(15, 2_000);
  // Time that a duration has to count, or not.
  await Bun.sleep(20);
  run.moveTo("reporting");
  expect(run.durationMs).toBe(durationMs);
});

test("ActiveRun.durationMs: counts the age of an adopted executor, and is unknown for one that had ended", () => {
  const adopted = runIn("starting");
  adopted.isAdopted = true;
  adopted.watch(childOf(60_000).child);
  expect(adopted.durationMs).toBeWithin(60_000, 62_000);
  const ended = runIn("starting");
  ended.isAdopted = true;
  ended.watch(childOf(0).child);
  expect(ended.durationMs).toBeUndefined();
});
