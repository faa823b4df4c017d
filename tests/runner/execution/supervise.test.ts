import { expect, test } from "bun:test";
import type { ExecutorProcess } from "../../../src/process/spawn.ts";
import { silentLog } from "../../../src/log.ts";
import { ActiveRun } from "../../../src/runner/runs/active-run.ts";
import { unobserved } from "../../../src/runner/runs/observer.ts";
import type { RunnerParts } from "../../../src/runner/execution/runner-parts.ts";
import { supervise } from "../../../src/runner/execution/supervise.ts";
import type { ExitStatus } from "../../../src/process/shim.ts";
import { assignedRun } from "../assigned-run.ts";

const HOUR_MS = 3_600_000;
const parts = {
  config: { runTimeoutMs: HOUR_MS },
  log: silentLog,
  journal: { cancelled() {} },
  leftovers: { end: () => Promise.resolve({ ended: 0, left: [] }) },
  observer: unobserved,
} as unknown as RunnerParts;

/** An executor of this age. Ends by itself, or at the first signal. */
function executor(ageMs: number, more: Partial<ExecutorProcess> = {}): ExecutorProcess {
  const exit = Promise.withResolvers<ExitStatus>();
  const signalGroup = (signal: "SIGTERM" | "SIGKILL"): void => exit.resolve({ code: null, signal });
  return { pid: 2, startedAt: "1", ageMs, exited: exit.promise, signalGroup, ...more } as ExecutorProcess;
}

test("supervise: the run time-out counts from the executor's start, not from the adoption", async () => {
  for (const ageMs of [HOUR_MS, 5 * HOUR_MS]) {
    const outcome = await supervise(new ActiveRun(assignedRun()), executor(ageMs), parts);
    expect(outcome).toEqual({ kind: "timed-out", error: expect.stringContaining("the run time-out of 1 h") });
  }
});

test("supervise: an executor that has ended already is not timed out, whatever its age", async () => {
  const ended = executor(5 * HOUR_MS, { exited: Promise.resolve({ code: 0, signal: null }) });
  expect(await supervise(new ActiveRun(assignedRun()), ended, parts)).toEqual({ kind: "succeeded" });
});
