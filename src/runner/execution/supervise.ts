import { aborted } from "../../async/aborted.ts";
import { withDeadline } from "../../async/delay.ts";
import type { LeftoverScope } from "../../process/leftovers.ts";
import type { ExitStatus } from "../../process/shim.ts";
import type { ExecutorProcess } from "../../process/spawn.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { type Outcome, outcomeOfExit } from "../runs/outcome.ts";
import type { RunnerParts } from "./runner-parts.ts";

/** Between SIGTERM and SIGKILL, as the existing runners give it. */
const GRACE_MS = 5_000;
/** A process that is stuck in the kernel outlives even SIGKILL; the run is over all the same. */
const KILL_WAIT_MS = 10_000;
const ERROR_TEXT_BYTES = 8 * 1024;

/** Watches an executor to its end, which is an event and not polled for, and says what came of the run. */
export async function supervise(run: ActiveRun, child: ExecutorProcess, parts: RunnerParts): Promise<Outcome> {
  const { config } = parts;
  const log = parts.log.scope("supervisor");
  const timer =
    config.runTimeoutMs > 0
      ? setTimeout(() => run.cancel(timeoutReason(config.runTimeoutMs)), leftMs(config.runTimeoutMs, child))
      : undefined;
  try {
    // A stop that was begun before this watch was (by an earlier start of the runner) is what ended the run.
    const isStopBegun = run.cancelReason !== null;
    const first = await Promise.race([child.exited, aborted(run.cancelled)]);
    if (first !== undefined && !isStopBegun)
      return outcomeOfExit(first, null, "SIGTERM", () => child.stderr.tail(ERROR_TEXT_BYTES));
    const termedAtMs = performance.now();
    const { exit, usedSignal } = await stop(run, child, parts);
    const ended = await parts.leftovers.end(
      { ...leftoversOf(run, child), graceMs: GRACE_MS, termedAtMs },
      { coalesce: false },
    );
    parts.observer.leftoversEnded(ended.ended);
    if (ended.ended > 0) log.info(`Ended ${ended.ended} more process(es) of run ${run.runId}`, run.context);
    if (ended.left.length > 0) log.error(`Could not end pid ${ended.left.join(", ")} of run ${run.runId}`, run.context);
    return outcomeOfExit(exit, run.cancelReason, usedSignal, () => "");
  } finally {
    clearTimeout(timer);
  }
}

/** SIGTERM to the group, the grace, SIGKILL to the group. */
async function stop(
  run: ActiveRun,
  child: ExecutorProcess,
  parts: RunnerParts,
): Promise<{ exit: ExitStatus; usedSignal: "SIGTERM" | "SIGKILL" }> {
  if (run.cancelReason !== null) parts.journal.cancelled(run.runId, run.cancelReason);
  parts.log.scope("supervisor").info(`Stopping run ${run.runId} (${run.cancelReason?.kind})`, run.context);
  child.signalGroup("SIGTERM");
  const graceful = await withDeadline(child.exited, GRACE_MS);
  if (graceful !== "timeout") return { exit: graceful, usedSignal: "SIGTERM" };
  child.signalGroup("SIGKILL");
  const killed = await withDeadline(child.exited, KILL_WAIT_MS);
  return { exit: killed === "timeout" ? { code: null, signal: "SIGKILL" } : killed, usedSignal: "SIGKILL" };
}

/** The run time-out counts from the executor's own start, under whichever runner that was. */
function leftMs(runTimeoutMs: number, child: ExecutorProcess): number {
  return Math.max(0, runTimeoutMs - child.ageMs);
}

function timeoutReason(afterMs: number): { kind: "run-timeout"; afterMs: number } {
  return { kind: "run-timeout", afterMs };
}

/** Of an executor that was taken up without its process, or whose start could not be told, only the mark is known. */
function leftoversOf(run: RunName, { pid, startedAt }: Leader): Pick<LeftoverScope, "runId" | "leader"> {
  return { runId: run.runId, leader: startedAt === "" ? null : { pid, startedAt } };
}

type RunName = Pick<ActiveRun, "runId" | "context">;
type Leader = Pick<ExecutorProcess, "pid" | "startedAt">;

/**
 * After a normal end: what the executor left behind is ended too. The report has gone out by then; the look at the process table
 * waits for other runs' to share it.
 */
export async function endLeftovers(run: RunName, child: Leader, parts: RunnerParts): Promise<void> {
  if (parts.config.keepBackground) return parts.cgroups.drop(run.runId);
  const { ended, left } = await parts.leftovers.end(
    { ...leftoversOf(run, child), graceMs: GRACE_MS },
    { coalesce: true },
  );
  const log = parts.log.scope("supervisor");
  parts.observer.leftoversEnded(ended);
  if (ended > 0) log.info(`Ended ${ended} process(es) that run ${run.runId} left behind`, run.context);
  if (left.length > 0) log.error(`Could not end pid ${left.join(", ")} that run ${run.runId} left behind`, run.context);
}
