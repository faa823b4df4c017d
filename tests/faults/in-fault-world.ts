import { describeError } from "../../src/errors.ts";
import { FaultWorld } from "./fault-world.ts";
import { judge, type Verdict, verdictOf } from "./verdict.ts";

/** A look for a lost claim may have to wait until no poll of a dead runner can be open: 35 s; then a run, a stop and back-off; on a busy machine. */
const SETTLE_MS = 240_000;
const LOG_LINES = 2_000;

/**
 * Plays in a world of its own, then judges it and ends it. Where there is a complaint, the last one is what the runners have logged. A play
 * that breaks off counts as one thing lost.
 */
export async function inFaultWorld(
  play: (faults: FaultWorld) => Promise<void>,
  options: { readonly runnerArgs?: readonly string[] } = {},
): Promise<Verdict> {
  let faults: FaultWorld | null = null;
  let verdict: Verdict;
  try {
    faults = await FaultWorld.start(options);
    await play(faults);
    verdict = await judge(faults, SETTLE_MS);
  } catch (error) {
    await faults?.[Symbol.asyncDispose]().catch(() => {});
    verdict = verdictOf(faults?.runs.length ?? 0, {
      lost: [`it could not be played to its end: ${describeError(error)}`],
    });
  }
  return verdict.complaints.length === 0
    ? verdict
    : { ...verdict, complaints: [...verdict.complaints, logFor(verdict.complaints, faults?.runnerLogs ?? "")] };
}

/** The lines that name a run that is complained of, or no run. */
function logFor(complaints: readonly string[], runnerLogs: string): string {
  const suspects = complaints.join("\n").match(/run_[0-9a-f]+/g) ?? [];
  const lines = runnerLogs
    .split("\n")
    .filter((line) => !/run_[0-9a-f]+/.test(line) || suspects.some((runId) => line.includes(runId)));
  return `the log:\n${lines.slice(-LOG_LINES).join("\n")}`;
}
