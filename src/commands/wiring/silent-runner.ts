import { describeMs } from "../../async/describe-ms.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { isTerminal } from "../../protocol/run.ts";
import type { RunnerInfo } from "../../protocol/runner.ts";

/** When the runs of a silent runner are given up, such as `12 min`; null if the runner is not silent. */
export function givenUpIn({ lost_in_seconds }: RunnerInfo): string | null {
  return lost_in_seconds === null ? null : describeMs(inSteps(lost_in_seconds) * 1_000);
}

/** A countdown by the minute, and by the second in the last one: a table is not drawn again each second. */
export function inSteps(seconds: number): number {
  return seconds > 60 ? Math.ceil(seconds / 60) * 60 : Math.round(seconds);
}

/**
 * The sentence for a run that is to be stopped and whose runner cannot be reached. Null if the runner can be reached,
 * or if the coordinator does not say.
 */
export async function unreachableNote(client: CoordinatorClient, runId: string): Promise<string | null> {
  try {
    const [run, runners] = await Promise.all([client.run(runId), client.runners()]);
    const runner = runners.find(({ runner_id }) => runner_id === run.runner_id);
    if (isTerminal(run.status) || runner?.status !== "stale") return null;
    const until = givenUpIn(runner);
    return (
      `The runner of ${runId} (${runner.hostname ?? runner.runner_id}) cannot be reached: ` +
      `the run stays stopping until the runner answers${until === null ? "" : ` or is given up, in ${until}`}`
    );
  } catch {
    // The stop is recorded all the same.
    return null;
  }
}
