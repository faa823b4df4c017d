import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import { isTerminal } from "../../protocol/run.ts";

/**
 * A registration that is taken up keeps the tags that it was made with. Where ours are others it is given up, so that a new one can be
 * made; but not while a run hangs on it. True if it was given up.
 */
export async function giveUpForOtherTags(
  coordinator: CoordinatorClient,
  runnerId: string,
  tags: readonly string[],
  log: Log,
): Promise<boolean> {
  try {
    const runner = (await coordinator.runners()).find((other) => other.runner_id === runnerId);
    if (runner === undefined || isSame(runner.tags ?? [], tags)) return false;
    const runs = await coordinator.runs({ runner_id: runnerId });
    if (runs.some((run) => run.runner_id === runnerId && !isTerminal(run.status))) {
      log.warn(
        `The coordinator knows this runner with other tags (${describe(runner.tags ?? [])}) while it has runs; a start without any changes that`,
      );
      return false;
    }
    await coordinator.deregister(runnerId, { self: true });
    return true;
  } catch (error) {
    log.debug(`Could not compare the tags: ${failureOfThrown("runners", error).message}`);
    return false;
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify([...new Set(a)].toSorted()) === JSON.stringify([...new Set(b)].toSorted());
}

function describe(tags: readonly string[]): string {
  return tags.length === 0 ? "none" : tags.join(", ");
}
