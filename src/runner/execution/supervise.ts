import { aborted } from "../../async/aborted.ts";
import { withDeadline } from "../../async/delay.ts";
import type { LeftoverScope } from "../../process/leftovers.ts";
import type { ExitStatus } from "../../process/shim.ts";
import type { ExecutorProcess } from "../../process/spawn.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { type Outcome, outcomeOfExit } from "../runs/outcome.ts";
import type { RunnerParts } from "./runner-parts.ts";

/** The time between SIGTERM and SIGKILL, as the Python runners have it. */
export const GRACE_MS = 5_000;
/** A process that hangs in the kernel outlives SIGKILL. The run ends anyway. */
const KILL_WAIT_MS = 10_000;
const ERROR_TEXT_BYTES = 8 * 1024;

/** Watches an executor to its end, and stops it if the run is cancelled. The end is an event; nothing is polled. */
export async function supervise(run: ActiveRun, child: ExecutorProcess, parts: RunnerParts): Promise<Outcome> {
  const { config } = parts;
  const log = parts.log.scope("supervisor");
  const timer =
    config.runTimeoutMs > 0
      ? setTimeout(() => run.cancel(timeoutReason(config.runTimeoutMs)), leftMs(config.runTimeoutMs, child))
      : undefined;
  try {
    // An earlier process of this runner may have begun the stop: then the stop has ended the run.
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
    if (ended.ended > 0) log.info(`Ended ${ended.ended} leftover(s) of run ${run.runId}`, run.context);
    if (ended.left.length > 0) log.error(`Could not end pid ${ended.left.join(", ")} of run ${run.runId}`, run.context);
    return outcomeOfExit(exit, run.cancelReason, usedSignal, () => "");
  } finally {
    clearTimeout(timer);
  }
}

/** Sends SIGTERM to the process group, and SIGKILL after the grace. */
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

/** The run time-out counts from the executor's start, even if an earlier process of this runner started it. */
function leftMs(runTimeoutMs: number, child: ExecutorProcess): number {
  return Math.max(0, runTimeoutMs - child.ageMs);
}

function timeoutReason(afterMs: number): { kind: "run-timeout"; afterMs: number } {
  return { kind: "run-timeout", afterMs };
}

/** An adopted executor without a known pid or start time is found by AGENT_RUN_ID alone. */
function leftoversOf(run: RunName, { pid, startedAt }: Leader): Pick<LeftoverScope, "runId" | "leader"> {
  return { runId: run.runId, leader: startedAt === "" ? null : { pid, startedAt } };
}

type RunName = Pick<ActiveRun, "runId" | "context">;
type Leader = Pick<ExecutorProcess, "pid" | "startedAt">;

/**
 * Ends the leftovers of an executor that has ended by itself. Several runs share one scan of the process table, which
 * follows the report.
 */
export async function endLeftovers(run: RunName, child: Leader, parts: RunnerParts): Promise<void> {
  if (parts.config.keepBackground) {
    parts.cgroups.drop(run.runId);
    parts.watchdog.release(run.runId);
    return;
  }
  const { ended, left } = await parts.leftovers.end(
    { ...leftoversOf(run, child), graceMs: GRACE_MS },
    { coalesce: true },
  );
  parts.watchdog.release(run.runId);
  const log = parts.log.scope("supervisor");
  parts.observer.leftoversEnded(ended);
  if (ended > 0) log.info(`Ended ${ended} leftover(s) of run ${run.runId}`, run.context);
  if (left.length > 0) log.error(`Could not end pid ${left.join(", ")} of run ${run.runId}`, run.context);
}
