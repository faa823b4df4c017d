import type { Grant } from "../../gateway/grant.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { CannotRun } from "../runs/intake.ts";
import type { Outcome } from "../runs/outcome.ts";
import { QUICK_MS } from "../runs/quick-failures.ts";
import type { Attempt } from "./conclude-run.ts";
import type { RunnerParts } from "./runner-parts.ts";

/**
 * Tells a fault of this machine from a fault of the task, and closes the intake for the former. A run of which nothing
 * was done goes back to the queue, if the coordinator takes it back; otherwise it fails.
 */
export function judge(run: ActiveRun, grant: Grant, { outcome, child }: Attempt, parts: RunnerParts): Outcome {
  const { intake, quickFailures, registration } = parts;
  if (outcome.kind === "cannot-run") {
    // What the runner itself has found, it can also check again.
    intake.close(new CannotRun(outcome.error, child !== null));
    const isUntouched = !run.isAdopted && !grant.hasWorked;
    return isUntouched && registration.takesReturns ? { kind: "given-back", error: outcome.error } : outcome;
  }
  if (child === null || run.cancelReason !== null) {
    intake.undecided();
    return outcome;
  }
  const { limitedUntilMs } = grant;
  const isTemporary = outcome.kind === "failed" && outcome.reason === "temporary";
  if (isTemporary && limitedUntilMs !== null && limitedUntilMs > Date.now()) {
    // The other runs would fail for the same reason, and use up their attempts.
    const until = new Date(limitedUntilMs).toISOString();
    intake.close(new CannotRun(`its limit is reached until ${until}: ${outcome.error}`, true, limitedUntilMs));
    return outcome;
  }
  const isQuick = !run.isAdopted && !grant.hasWritten && (run.durationMs ?? Number.POSITIVE_INFINITY) < QUICK_MS;
  const hasFailed = outcome.kind === "failed" && outcome.reason !== "temporary";
  if (hasFailed && isQuick && child.stdout.tail(1) === "") quickFailures.failed(outcome.error);
  else quickFailures.worked();
  return outcome;
}
