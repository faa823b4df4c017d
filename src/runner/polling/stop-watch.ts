import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import type { RunRegistry } from "../runs/run-registry.ts";

const CHECK_INTERVAL_MS = 2_000;
const MAX_CONCURRENT = 8;

/**
 * Finds stop commands while no poll is open: at the limit, without room, and while draining. For coordinators that
 * cannot be polled for stop commands alone. Checks each run of this runner for the status `stopping`.
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
  const check = async (run: ActiveRun): Promise<void> => {
    try {
      if ((await coordinator.run(run.runId)).status === "stopping") onStop(run);
    } catch (error) {
      log.debug(`Could not check run ${run.runId}: ${failureOfThrown("run", error).message}`, run.context);
    }
  };
  while (!signal.aborted) {
    await delay(CHECK_INTERVAL_MS, signal);
    if (signal.aborted || !isNeeded()) continue;
    const runs = registry.all().filter((run) => run.isCancellable);
    const next = async (): Promise<void> => {
      for (let run = runs.shift(); run !== undefined && !signal.aborted; run = runs.shift()) await check(run);
    };
    await Promise.all(Array.from({ length: MAX_CONCURRENT }, next));
  }
}
