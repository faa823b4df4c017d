import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import type { Run } from "../../protocol/run.ts";
import type { Registration } from "../link/registration.ts";
import type { Reconciler } from "./reconcile.ts";

export interface LostClaimsOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly reconciler: Pick<Reconciler, "exchange" | "agreeOn">;
  readonly log: Log;
}

/** The statuses that a coordinator without reconciliation is asked for. */
const STATUSES = ["claimed", "stopping", "running"] as const;

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
    const { reconciler, registration } = this.#options;
    if (registration.reconciles) return reconciler.exchange({ isQuiet: true });
    for (const status of STATUSES) {
      for (const run of await this.#ownRuns(status)) {
        await reconciler.agreeOn({ run_id: run.run_id, status, is_own: true }, true, run);
      }
    }
  }

  /** Not every coordinator applies the filters. */
  async #ownRuns(status: (typeof STATUSES)[number]): Promise<Run[]> {
    const { coordinator, registration } = this.#options;
    const { runnerId } = registration;
    const runs = await coordinator.runs({ status, runner_id: runnerId });
    return runs.filter((run) => run.status === status && run.runner_id === runnerId);
  }
}
