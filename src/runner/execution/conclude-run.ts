import { rmSync } from "node:fs";
import { join } from "node:path";
import { withDeadline } from "../../async/delay.ts";
import { describeMs } from "../../async/describe-ms.ts";
import { describeError } from "../../errors.ts";
import type { Grant } from "../../gateway/grant.ts";
import type { ExecutorProcess } from "../../process/spawn.ts";
import { isTerminal } from "../../protocol/run.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { deliver } from "../link/deliver.ts";
import { finishSession } from "./finish-session.ts";
import { describeOutcome, type Outcome, reportOf } from "../runs/outcome.ts";
import { judge } from "./judge.ts";
import { dropRunRecord } from "./run-record.ts";
import type { TakenRun } from "../runs/run-registry.ts";
import { type RunnerParts, sendReport } from "./runner-parts.ts";
import { endLeftovers } from "./supervise.ts";

/** A run that has ended, with its executor if one was started. `unwatch` ends the watch of its output. */
export interface Attempt {
  readonly outcome: Outcome;
  readonly child: ExecutorProcess | null;
  readonly unwatch: () => void;
  /** The run ended before this process began. An earlier process may have reported it without a record of that. */
  readonly mayBeReported?: boolean;
}

export function notStarted(outcome: Outcome): Attempt {
  return { outcome, child: null, unwatch() {} };
}

const STDOUT_TAIL_BYTES = 64 * 1024;
/** A disk that takes longer holds up no report. */
const RECORD_WAIT_MS = 5_000;

/**
 * The second half of the straight line: records the outcome, revokes the token, finishes the session, delivers the
 * report and ends leftovers. The scan for leftovers follows the report. After a stop the leftovers have ended already.
 */
export async function concludeRun(
  { run, end }: TakenRun,
  grant: Grant,
  attempt: Attempt,
  parts: RunnerParts,
): Promise<void> {
  const { child } = attempt;
  const log = parts.log.scope("supervisor");
  run.moveTo("reporting");
  const { durationMs } = run;
  const judged = judge(run, grant, attempt, parts);
  const outcome: Outcome = { ...judged, durationMs: attempt.outcome.durationMs ?? durationMs };
  parts.journal.ended(run.runId, outcome);
  // The journal reports a failed flush itself, and the run is reported all the same.
  const recorded = withDeadline(parts.journal.durable(), RECORD_WAIT_MS).catch(() => {});
  parts.gateway.revoke(grant);
  await grant.settled();
  const isReported = attempt.mayBeReported === true && (await isEndKnown(run.runId, parts));
  if (!isReported && outcome.kind === "succeeded" && child !== null) {
    const finished = finishSession(run, grant, () => child.stdout.tail(STDOUT_TAIL_BYTES), parts);
    await finished.catch((error: unknown) =>
      log.error(`Could not finish session ${run.sessionId}: ${describeError(error)}`, run.context),
    );
  }
  await recorded;
  const isGone = outcome.kind === "claim-revoked" || outcome.kind === "given-back";
  // This runner may get the run again: then a late scan would end its new executor.
  if (outcome.kind === "given-back" && child !== null) await endLeftovers(run, child, parts);
  const reported = isReported ? undefined : report(run, outcome, parts);
  if (isReported) log.info(`The coordinator already knows how run ${run.runId} ended`, run.context);
  else log.info(`Run ${run.runId} ${describeOutcome(outcome)} after ${describeMs(run.ageMs)}`, run.context);
  const hasEndedByItself = ["succeeded", "failed", "cannot-run", "vanished"].includes(outcome.kind);
  const leftoversEnded = child !== null && hasEndedByItself ? endLeftovers(run, child, parts) : undefined;
  if (leftoversEnded === undefined) parts.watchdog.release(run.runId);
  attempt.unwatch();
  child?.close();
  await reported;
  // The coordinator may assign a run with a revoked claim to this runner again.
  if (isGone) parts.journal.forget(run.runId);
  else if (leftoversEnded === undefined) parts.journal.done(run.runId);
  else parts.journal.reported(run.runId);
  const folder = join(parts.runsFolder, run.runId);
  if (outcome.kind === "given-back") rmSync(folder, { recursive: true, force: true });
  else dropRunRecord(folder);
  end({ remember: !isGone });
  parts.observer.runEnded(run, outcome);
  if (leftoversEnded === undefined) return;
  await leftoversEnded;
  parts.journal.done(run.runId);
}

/** Whether an earlier process has reported the run's end, or the coordinator has forgotten the run. */
async function isEndKnown(runId: string, parts: RunnerParts): Promise<boolean> {
  const found = await deliver("Reading the run", () => parts.coordinator.run(runId), parts.delivery);
  if (found.kind === "refused") return found.failure.status === 404;
  return found.kind === "answered" && isTerminal(found.value.status);
}

/** Delivers the report. Resolves when the coordinator acknowledges it, or refuses it for good. */
async function report(run: ActiveRun, outcome: Outcome, parts: RunnerParts): Promise<void> {
  const message = reportOf(outcome);
  if (message === null) return;
  const options = { ...parts.delivery, context: run.context, isReport: true };
  let isRetry = false;
  const send = async (): Promise<void> => {
    // Perhaps only the answer was lost. Coordinators without "reconcile" call the parent back for each report.
    const mayHaveArrived = isRetry && !parts.registration.reconciles;
    if (mayHaveArrived && isTerminal((await parts.coordinator.run(run.runId)).status)) return;
    isRetry = true;
    await sendReport(parts, run.runId, message);
  };
  const delivered = await deliver(`The report ${message.verb}`, send, options);
  // Of a run that was given up, or is somebody else's, the coordinator may keep a note of the report, or refuse it.
  if (delivered.kind === "refused" && run.cancelReason?.kind !== "revoked") {
    parts.log
      .scope("supervisor")
      .error(
        `The coordinator refused the report ${message.verb} of run ${run.runId}: ${delivered.failure.message}`,
        run.context,
      );
  }
}

/** Keeps the output files within their limit. With `-v`, logs each line of the output. */
export function watchOutputs(
  run: ActiveRun,
  child: ExecutorProcess,
  { outputs, config, log }: RunnerParts,
): () => void {
  const scope = log.scope("executor");
  const show = (stream: string) =>
    config.verbose ? (line: string) => scope.debug(`${run.runId} ${stream}| ${line}`, run.context) : undefined;
  const ends = [outputs.watch(child.stdout, show("out")), outputs.watch(child.stderr, show("err"))];
  return () => ends.forEach((end) => end());
}
