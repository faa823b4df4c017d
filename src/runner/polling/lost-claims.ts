import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import { type PollMessage, parseAssignedRun } from "../../protocol/poll.ts";
import type { Run } from "../../protocol/run.ts";
import type { Registration } from "../link/registration.ts";
import type { RunRegistry } from "../runs/run-registry.ts";

export interface LostClaimsOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  readonly log: Log;
  readonly onMessage: (message: PollMessage) => void;
}

/** The existing coordinator goes on with a poll that was left, for up to its poll time-out, and may claim at its very end. */
const GHOST_MARGIN_MS = 5_000;
const NOW_AND_THEN_MS = 5 * 60_000;

/**
 * Finds what a poll brought to nobody, because its answer was lost on the way or went to a start of this runner that is dead: runs that the
 * coordinator counts as claimed by this runner and that never arrived, and runs that it was to stop and does not. Looks only while no poll is
 * open that may claim: then every claim that this runner knows of is in the registry, and any other is a lost one.
 */
export class LostClaims {
  readonly #options: LostClaimsOptions;
  /** When something was expected that is still to be looked for. */
  #expectedAtMs: number[] = [];
  #nextAnywayMs = 0;

  constructor(options: LostClaimsOptions) {
    this.#options = options;
  }

  /** Something happened after which a claim may be lost: look before the next poll, and once more when no ghost can be left. */
  expect(options: { isGhostPossible: boolean } = { isGhostPossible: false }): void {
    const now = performance.now();
    this.#expectedAtMs.push(now);
    if (options.isGhostPossible)
      this.#expectedAtMs.push(now + this.#options.registration.pollTimeoutSeconds * 1000 + GHOST_MARGIN_MS);
  }

  async lookIfDue(): Promise<void> {
    const now = performance.now();
    if (now < Math.min(this.#nextAnywayMs, ...this.#expectedAtMs)) return;
    try {
      await this.#look();
      this.#expectedAtMs = this.#expectedAtMs.filter((at) => at > now);
      this.#nextAnywayMs = now + NOW_AND_THEN_MS;
    } catch (error) {
      // Still due; the poll that follows finds out what is wrong.
      this.#options.log.debug(`Could not look for lost claims: ${failureOfThrown("runs", error).message}`);
    }
  }

  async #look(): Promise<void> {
    const { registry, log, onMessage } = this.#options;
    for (const run of await this.#ownRuns("claimed")) {
      if (registry.knows(run.run_id)) continue;
      log.info(`Found run ${run.run_id} that was claimed for this runner and did not arrive`, {
        run: run.run_id,
        session: run.session_id,
      });
      onMessage(parseAssignedRun(run));
    }
    for (const run of await this.#ownRuns("stopping")) {
      // One that is not here, and was not, is the dispatcher's to tell of, and to have stopped.
      if (registry.knows(run.run_id) && registry.get(run.run_id)?.isCancellable !== true) continue;
      log.info(`Found run ${run.run_id} that is to be stopped, of which nothing arrived`, {
        run: run.run_id,
        session: run.session_id,
      });
      onMessage({ kind: "stops", runIds: [run.run_id], sessionIds: [] });
    }
  }

  /** Not every coordinator minds the filters. */
  async #ownRuns(status: "claimed" | "stopping"): Promise<Run[]> {
    const { coordinator, registration } = this.#options;
    const { runnerId } = registration;
    const runs = await coordinator.runs({ status, runner_id: runnerId });
    return runs.filter((run) => run.status === status && run.runner_id === runnerId);
  }
}
