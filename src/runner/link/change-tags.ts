import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import { isTerminal } from "../../protocol/run.ts";

/**
 * Deregisters a reused registration whose tags differ from `tags`, unless it has runs: a registration keeps its tags.
 * Returns true if it deregistered; the caller must register again.
 */
export async function deregisterIfTagsDiffer(
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
        `The coordinator keeps other tags for this runner (${describe(runner.tags ?? [])}) while it has runs; ` +
          "restart it without runs to change them",
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
