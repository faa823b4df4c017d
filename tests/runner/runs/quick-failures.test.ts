import { expect, test } from "bun:test";
import { silentLog } from "../../../src/log.ts";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { Intake } from "../../../src/runner/runs/intake.ts";
import { QuickFailures } from "../../../src/runner/runs/quick-failures.ts";
import { until } from "../../harness/until.ts";

interface Made extends Disposable {
  readonly intake: Intake;
  readonly failures: QuickFailures;
}

function make(): Made {
  const intake = new Intake({
    log: silentLog,
    bell: new Bell(),
    requireRoom: () => Promise.resolve(),
    checkIntervalMs: 1,
  });
  return { intake, failures: new QuickFailures(intake), [Symbol.dispose]: () => intake[Symbol.dispose]() };
}

test("QuickFailures: three in a row with one cause close the intake", () => {
  using made = make();
  for (const error of ["no key 1", "no key 22"]) made.failures.failed(error);
  expect(made.intake.isClosed).toBe(false);
  made.failures.failed("no key 333");
  expect(made.intake.fault).toMatch(/^3 runs in a row failed at once/);
});

test("QuickFailures: several of different causes are the task's", () => {
  using made = make();
  for (const error of ["a", "b", "a", "b", "c"]) made.failures.failed(error);
  expect(made.intake.isClosed).toBe(false);
});

test("QuickFailures: an executor that worked breaks the row", () => {
  using made = make();
  for (let i = 0; i < 4; i++) {
    made.failures.failed("a");
    made.failures.failed("a");
    made.failures.worked();
  }
  expect(made.intake.isClosed).toBe(false);
});

test("QuickFailures: on trial one failure closes the intake again", async () => {
  using made = make();
  for (let i = 0; i < 3; i++) made.failures.failed("a");
  for (let i = 0; i < 2; i++) {
    await until("the trial", () => made.intake.isOnTrial);
    expect(made.intake.takesRuns).toBe(true);
    made.intake.took();
    expect(made.intake.takesRuns).toBe(false);
    made.failures.failed("another cause");
    expect(made.intake.isClosed).toBe(true);
  }
});

test("QuickFailures: a run on trial that works opens the intake", async () => {
  using made = make();
  for (let i = 0; i < 3; i++) made.failures.failed("a");
  await until("the trial", () => made.intake.isOnTrial);
  made.intake.took();
  made.failures.worked();
  expect([made.intake.takesRuns, made.intake.fault]).toEqual([true, null]);
});
