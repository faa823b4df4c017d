import { describeMs } from "../../async/describe-ms.ts";
import type { Report } from "../../client/coordinator-client.ts";
import { CANNOT_RUN } from "../../executor-kit/cannot-run.ts";
import type { ExitStatus } from "../../process/shim.ts";
import { schemaHint } from "../../protocol/invocation.ts";

/** Why the runner ends a run. */
export type CancelReason =
  | { readonly kind: "stop-command" }
  | { readonly kind: "run-timeout"; readonly afterMs: number }
  | { readonly kind: "shutdown" }
  /** The coordinator says that the run is not this runner's any more. */
  | { readonly kind: "revoked" }
  /** No runner came back for the executor within this time (end-abandoned.ts). */
  | { readonly kind: "abandoned"; readonly afterMs: number };

/** How a run ended, and how long its executor ran: unset if none ran, or if its end was not seen. */
export type Outcome = Way & { readonly durationMs?: number | undefined };

type Way =
  | { readonly kind: "succeeded" }
  /** `reason` is set if a retry may succeed. */
  | { readonly kind: "failed"; readonly error: string; readonly reason?: "temporary" | "interrupted" | undefined }
  | { readonly kind: "timed-out"; readonly error: string }
  | { readonly kind: "stopped"; readonly signal: string }
  | { readonly kind: "not-started"; readonly error: string }
  /** This machine cannot execute the run, says the runner or the executor. Nothing of the run was done. */
  | { readonly kind: "cannot-run"; readonly error: string }
  /** The run goes back to the queue, for a machine that can execute it. */
  | { readonly kind: "given-back"; readonly error: string }
  /** The executor disappeared while no runner lived, and left no exit status. */
  | { readonly kind: "vanished"; readonly error: string }
  /** The coordinator gave the run to another runner, or forgot the run. Nothing was spawned; nothing is reported. */
  | { readonly kind: "claim-revoked"; readonly reason: string };

/** The name of an outcome in metrics and traces. They name a revoked claim `claim-lost`, as version 0.1.0 did. */
export function outcomeLabel(kind: Outcome["kind"]): string {
  return kind === "claim-revoked" ? "claim-lost" : kind;
}

/** EX_TEMPFAIL of sysexits.h. The same run may succeed later: a usage limit, a service that is down. */
const TEMPORARY_FAILURE = 75;

/** The outcome of an executor that has ended. `usedSignal` is the last signal that it got because of `reason`. */
export function outcomeOfExit(
  exit: ExitStatus,
  reason: CancelReason | null,
  usedSignal: "SIGTERM" | "SIGKILL",
  errorText: () => string,
): Outcome {
  if (reason?.kind === "run-timeout") {
    return {
      kind: "timed-out",
      error: `The run took longer than the run time-out of ${describeMs(reason.afterMs)} and was ended (${usedSignal})`,
    };
  }
  if (reason?.kind === "abandoned") {
    const error = `The runner did not come back for ${describeMs(reason.afterMs)}, so the executor was ended`;
    return { kind: "failed", error, reason: "interrupted" };
  }
  if (reason !== null) return { kind: "stopped", signal: usedSignal };
  if (exit.code === 0) return { kind: "succeeded" };
  if (exit.code === null && exit.signal === null) {
    return { kind: "vanished", error: "The executor vanished without an exit status while no runner watched it" };
  }
  const how = exit.code === null ? `The executor was ended by ${exit.signal}` : `Process exited with code ${exit.code}`;
  const text = errorText();
  const error = text === "" ? how : [text, schemaHint(text) ?? []].flat().join("\n");
  if (exit.code === null) return { kind: "failed", error, reason: "interrupted" };
  if (exit.code === CANNOT_RUN) return { kind: "cannot-run", error };
  return exit.code === TEMPORARY_FAILURE ? { kind: "failed", error, reason: "temporary" } : { kind: "failed", error };
}

/** The outcome of a run that was cancelled before its spawn. The run time-out cannot be the reason. */
export const STOPPED_BEFORE_START: Outcome = { kind: "stopped", signal: "SIGTERM" };

/** The report to the coordinator; null if there is none. */
export function reportOf(outcome: Outcome): Report | null {
  const report = untimedReportOf(outcome);
  const { durationMs } = outcome;
  return report === null || durationMs === undefined ? report : { ...report, durationMs: Math.round(durationMs) };
}

function untimedReportOf(outcome: Outcome): Exclude<Report, { verb: "started" }> | null {
  switch (outcome.kind) {
    case "succeeded":
      return { verb: "completed" };
    case "failed":
      return outcome.reason === undefined
        ? { verb: "failed", error: outcome.error }
        : { verb: "failed", error: outcome.error, reason: outcome.reason };
    case "timed-out":
      return { verb: "failed", error: outcome.error, reason: "timed_out" };
    case "not-started":
    case "cannot-run":
      return { verb: "failed", error: outcome.error, reason: "not_started" };
    case "given-back":
      return { verb: "returned", error: outcome.error };
    case "vanished":
      return { verb: "failed", error: outcome.error, reason: "interrupted" };
    case "stopped":
      return { verb: "stopped", signal: outcome.signal };
    case "claim-revoked":
      return null;
  }
}

/** For a log line. Leaves out the executor's error text: it may contain what the agent worked on. */
export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case "succeeded":
      return "completed";
    case "failed":
      return "failed";
    case "timed-out":
      return "failed (run time-out)";
    case "vanished":
      return "failed (the executor vanished)";
    case "not-started":
      return `failed (not started: ${outcome.error})`;
    case "cannot-run":
      return "failed (this machine cannot execute it)";
    case "given-back":
      return "was given back";
    case "stopped":
      return `stopped (${outcome.signal})`;
    case "claim-revoked":
      return `was revoked (${outcome.reason})`;
  }
}
