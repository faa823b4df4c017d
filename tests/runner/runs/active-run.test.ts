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
  run.watch({ signalGroup: (signal: string) => signals.push(signal) } as unknown as ExecutorProcess);
  expect(run.state).toBe("running");
  run.kill();
  expect(signals).toEqual(["SIGKILL"]);
});
