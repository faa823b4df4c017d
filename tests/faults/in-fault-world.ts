import { describeError } from "../../src/errors.ts";
import { FaultWorld } from "./fault-world.ts";
import { judge, type Verdict, verdictOf } from "./verdict.ts";

/**
 * The search for a lost claim may wait 35 s, until a dead runner has no open poll. Then a run, a stop and back-off
 * follow, on a busy machine.
 */
const SETTLE_MS = 240_000;
const LOG_LINES = 2_000;

/**
 * Plays in a new world, judges the result and disposes the world. Appends the runners' log to any complaints. A play
 * that throws counts as one thing lost.
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
      lost: [`the trial broke off: ${describeError(error)}`],
    });
  }
  return verdict.complaints.length === 0
    ? verdict
    : { ...verdict, complaints: [...verdict.complaints, logFor(verdict.complaints, faults?.runnerLogs ?? "")] };
}

/** The log lines that name a run in the complaints, or no run at all. */
function logFor(complaints: readonly string[], runnerLogs: string): string {
  const suspects = complaints.join("\n").match(/run_[0-9a-f]+/g) ?? [];
  const lines = runnerLogs
    .split("\n")
    .filter((line) => !/run_[0-9a-f]+/.test(line) || suspects.some((runId) => line.includes(runId)));
  return `the log:\n${lines.slice(-LOG_LINES).join("\n")}`;
}
