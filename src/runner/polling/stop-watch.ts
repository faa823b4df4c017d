import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import type { RunRegistry } from "../runs/run-registry.ts";

const LOOK_EVERY_MS = 2_000;
const AT_ONCE = 8;

/**
 * Fetches stop commands while no poll may be opened, from a coordinator that cannot be polled for them alone: at the limit, and while
 * draining. Asks for each own run whether it is `stopping`.
 */
export async function watchForStops(options: {
  readonly coordinator: CoordinatorClient;
  readonly registry: RunRegistry;
  readonly log: Log;
  readonly isNeeded: () => boolean;
  readonly onStop: (run: ActiveRun) => void;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { coordinator, registry, log, isNeeded, onStop, signal } = options;
  const look = async (run: ActiveRun): Promise<void> => {
    try {
      if ((await coordinator.run(run.runId)).status === "stopping") onStop(run);
    } catch (error) {
      log.debug(`Could not look at run ${run.runId}: ${failureOfThrown("run", error).message}`, run.context);
    }
  };
  while (!signal.aborted) {
    await delay(LOOK_EVERY_MS, signal);
    if (signal.aborted || !isNeeded()) continue;
    const runs = registry.all().filter((run) => run.isCancellable);
    const next = async (): Promise<void> => {
      for (let run = runs.shift(); run !== undefined && !signal.aborted; run = runs.shift()) await look(run);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }
}
