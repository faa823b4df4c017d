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
export async function judge(
  run: ActiveRun,
  grant: Grant,
  { outcome, child }: Attempt,
  parts: RunnerParts,
): Promise<Outcome> {
  const { intake, quickFailures, registration, stopping } = parts;
  if (outcome.kind === "cannot-run") {
    // What the runner itself has found, it can also check again.
    intake.close(new CannotRun(outcome.error, child !== null));
    const { assistantMessageSent, resultSent } = grant.activity;
    const isUntouched = !assistantMessageSent && !resultSent;
    return isUntouched && registration.takesReturns ? { kind: "given-back", error: outcome.error } : outcome;
  }
  if (child === null || run.cancelReason !== null) {
    intake.undecided();
    return outcome;
  }
  const isQuick = !run.isAdopted && !grant.hasWritten && (run.durationMs ?? Number.POSITIVE_INFINITY) < QUICK_MS;
  if (outcome.kind !== "failed" || outcome.reason === "temporary" || !isQuick) {
    quickFailures.worked();
    return outcome;
  }
  const { error } = outcome;
  const mayReturn = registration.takesReturns && run.assigned.returns === 0 && child.stdout.tail(1) === "";
  const verdict = await quickFailures.verdict({ error, mayReturn }, stopping);
  return verdict === "given-back" ? { kind: "given-back", error } : outcome;
}
