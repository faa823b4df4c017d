import { expect, test } from "bun:test";
import { phasesOf } from "../../../src/dashboard/session/run-phases.ts";

const at = (seconds: number): string => new Date(seconds * 1_000).toISOString();
const NOW = 100_000;
const nothing = {
  status: "pending",
  created_at: at(10),
  not_before: null,
  claimed_at: null,
  started_at: null,
  completed_at: null,
};
const phases = (run: Partial<Record<keyof typeof nothing, string | null>>): string[] =>
  phasesOf({ ...nothing, ...run } as typeof nothing, NOW).map(
    ({ kind, fromMs, toMs, isOpen }) => `${kind} ${fromMs / 1_000}-${isOpen ? "" : toMs / 1_000}`,
  );

test.each([
  [
    "that has ended",
    { claimed_at: at(12), started_at: at(13), completed_at: at(20) },
    ["waiting 10-12", "starting 12-13", "running 13-20"],
  ],
  ["that runs", { claimed_at: at(12), started_at: at(13) }, ["waiting 10-12", "starting 12-13", "running 13-"]],
  ["that waits", {}, ["waiting 10-"]],
  ["that is scheduled for later", { not_before: at(500) }, ["scheduled 10-"]],
  [
    "that was scheduled",
    { not_before: at(30), claimed_at: at(32), started_at: at(33), completed_at: at(40) },
    ["scheduled 10-30", "waiting 30-32", "starting 32-33", "running 33-40"],
  ],
  ["that was scheduled for the past", { not_before: at(1), claimed_at: at(12) }, ["waiting 10-12", "starting 12-"]],
  ["that nobody claimed", { completed_at: at(20) }, ["waiting 10-20"]],
  ["that started at once", { claimed_at: at(10), started_at: at(10), completed_at: at(11) }, ["running 10-11"]],
  ["that was stopped before its time", { not_before: at(500), completed_at: at(20) }, ["scheduled 10-20"]],
  ["without times", { created_at: null }, []],
  ["whose clock went backwards", { claimed_at: at(9), started_at: at(8), completed_at: at(7) }, []],
])("phasesOf a run %s", (_, run, expected) => {
  expect(phases(run)).toEqual(expected);
});
