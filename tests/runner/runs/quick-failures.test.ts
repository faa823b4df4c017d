import { expect, test } from "bun:test";
import { silentLog } from "../../../src/log.ts";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { Intake } from "../../../src/runner/runs/intake.ts";
import { QuickFailures } from "../../../src/runner/runs/quick-failures.ts";
import { until } from "../../harness/until.ts";

const never = new AbortController().signal;

interface Made extends Disposable {
  readonly intake: Intake;
  readonly failures: QuickFailures;
  readonly fail: (error: string, mayReturn?: boolean) => Promise<string>;
}

function make(waitMs = 60_000): Made {
  const intake = new Intake({
    log: silentLog,
    bell: new Bell(),
    requireRoom: () => Promise.resolve(),
    checkIntervalMs: 1,
  });
  const failures = new QuickFailures(intake, waitMs);
  return {
    intake,
    failures,
    fail: (error, mayReturn = true) => failures.verdict({ error, mayReturn }, never),
    [Symbol.dispose]: () => intake[Symbol.dispose](),
  };
}

test("QuickFailures: three in a row with one cause close the intake, and all three go back", async () => {
  using made = make();
  const verdicts = ["no key 1", "no key 22", "no key 333"].map((error) => made.fail(error));
  expect(await Promise.all(verdicts)).toEqual(["given-back", "given-back", "given-back"]);
  expect(made.intake.fault).toMatch(/^3 runs in a row failed at once/);
});

test("QuickFailures: one failure, or several of different causes, are the task's", async () => {
  using made = make(1);
  for (const error of ["a", "b", "a", "b", "c"]) expect(await made.fail(error)).toBe("failed");
  expect(made.intake.isClosed).toBe(false);
});

test("QuickFailures: an executor that worked breaks the row", async () => {
  using made = make(1);
  for (let i = 0; i < 4; i++) {
    expect([await made.fail("a"), await made.fail("a")]).toEqual(["failed", "failed"]);
    made.failures.worked();
  }
  expect(made.intake.isClosed).toBe(false);
});

test("QuickFailures: on trial one failure closes the intake again; a run that was back once fails", async () => {
  using made = make(1);
  for (let i = 0; i < 3; i++) await made.fail("a", false);
  for (const [mayReturn, verdict] of [
    [true, "given-back"],
    [false, "failed"],
  ] as const) {
    await until("the trial", () => made.intake.isOnTrial);
    expect(made.intake.takesRuns).toBe(true);
    made.intake.took();
    expect(made.intake.takesRuns).toBe(false);
    expect(await made.fail("another cause", mayReturn)).toBe(verdict);
    expect(made.intake.isClosed).toBe(true);
  }
});

test("QuickFailures: a run on trial that works opens the intake", async () => {
  using made = make(1);
  for (let i = 0; i < 3; i++) await made.fail("a", false);
  await until("the trial", () => made.intake.isOnTrial);
  made.intake.took();
  made.failures.worked();
  expect([made.intake.takesRuns, made.intake.fault]).toEqual([true, null]);
});

test("QuickFailures: a runner that stops its runs waits for no verdict", async () => {
  using made = make();
  expect(await made.failures.verdict({ error: "a", mayReturn: true }, AbortSignal.abort())).toBe("failed");
});
