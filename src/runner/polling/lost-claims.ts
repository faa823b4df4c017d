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

/** A Python coordinator continues an abandoned poll up to its time-out, and may claim a run at its end. */
const GHOST_MARGIN_MS = 5_000;
const CHECK_INTERVAL_MS = 5 * 60_000;

/**
 * Finds claims and stops that never arrived: the poll's answer was lost, or went to an earlier process of this runner.
 * Asks the coordinator for the claimed and the stopping runs of this runner. Checks only while no poll may claim: then
 * every claim that has arrived is in the registry, and any other is lost.
 */
export class LostClaims {
  readonly #options: LostClaimsOptions;
  /** Times of the checks that `expect` has asked for. */
  #dueAtMs: number[] = [];
  #nextRegularMs = 0;

  constructor(options: LostClaimsOptions) {
    this.#options = options;
  }

  /**
   * Call it when a claim may have been lost: makes a check due. With `isGhostPossible` makes another one due when every
   * ghost poll has ended.
   */
  expect(options: { isGhostPossible: boolean } = { isGhostPossible: false }): void {
    const now = performance.now();
    this.#dueAtMs.push(now);
    if (options.isGhostPossible)
      this.#dueAtMs.push(now + this.#options.registration.pollTimeoutSeconds * 1000 + GHOST_MARGIN_MS);
  }

  async checkIfDue(): Promise<void> {
    const now = performance.now();
    if (now < Math.min(this.#nextRegularMs, ...this.#dueAtMs)) return;
    try {
      await this.#check();
      this.#dueAtMs = this.#dueAtMs.filter((at) => at > now);
      this.#nextRegularMs = now + CHECK_INTERVAL_MS;
    } catch (error) {
      // The check stays due. The poll that follows reports what is wrong.
      this.#options.log.debug(`Could not check for lost claims: ${failureOfThrown("runs", error).message}`);
    }
  }

  async #check(): Promise<void> {
    const { registry, log, onMessage } = this.#options;
    for (const run of await this.#ownRuns("claimed")) {
      if (registry.knows(run.run_id)) continue;
      log.info(`Found run ${run.run_id}, a claim that never arrived`, {
        run: run.run_id,
        session: run.session_id,
      });
      onMessage(parseAssignedRun(run));
    }
    for (const run of await this.#ownRuns("stopping")) {
      // The dispatcher ends and reports a run that was never here.
      if (registry.knows(run.run_id) && registry.get(run.run_id)?.isCancellable !== true) continue;
      log.info(`Found run ${run.run_id}, whose stop command never arrived`, {
        run: run.run_id,
        session: run.session_id,
      });
      onMessage({ kind: "stops", runIds: [run.run_id], sessionIds: [] });
    }
  }

  /** Filters again: not every coordinator applies the query. */
  async #ownRuns(status: "claimed" | "stopping"): Promise<Run[]> {
    const { coordinator, registration } = this.#options;
    const { runnerId } = registration;
    const runs = await coordinator.runs({ status, runner_id: runnerId });
    return runs.filter((run) => run.status === status && run.runner_id === runnerId);
  }
}
