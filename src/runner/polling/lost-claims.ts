import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import type { SessionEvent } from "../../protocol/session.ts";
import type { Run } from "../../protocol/run.ts";
import type { Registration } from "../link/registration.ts";
import type { Reconciler } from "./reconcile.ts";

export interface LostClaimsOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly reconciler: Pick<Reconciler, "exchange" | "agreeOn">;
  readonly log: Log;
}

const HOOK_ENDS: ReadonlySet<string> = new Set(["hook_complete", "hook_failed", "hook_blocked", "hook_timeout"]);
const MAX_EVENTS = 10_000;

/** The statuses that a coordinator without reconciliation is asked for. */
const STATUSES = ["claimed", "stopping", "running"] as const;

/** A Python coordinator continues an abandoned poll up to its time-out, and may claim a run at its end. */
const GHOST_MARGIN_MS = 5_000;
const GHOST_PROBE_MS = 1_000;
/** An answer of the open poll may be on its way for less than this. */
const ON_ITS_WAY_MS = 2_500;
const CHECK_INTERVAL_MS = 5 * 60_000;

/**
 * Finds claims and stops that never arrived: the poll's answer was lost, or went to an earlier process of this runner.
 * Asks the coordinator for the claimed and the stopping runs of this runner. Checks only while no poll may claim: then
 * every claim that has arrived is in the registry, and any other is lost.
 */
export class LostClaims implements Disposable {
  readonly #options: LostClaimsOptions;
  /** Times of the checks that `expect` has asked for. */
  #dueAtMs: number[] = [];
  #nextRegularMs = 0;
  readonly #ended = new AbortController();
  #ghostUntilMs = 0;
  #isWatching = false;

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
    if (!options.isGhostPossible) return;
    this.#ghostUntilMs = now + this.#options.registration.pollTimeoutSeconds * 1000 + GHOST_MARGIN_MS;
    this.#dueAtMs.push(this.#ghostUntilMs);
    void this.#watchForGhosts();
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
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

  /**
   * Probes often while a ghost poll can live, although a poll of this process is open: that one claims for itself, and
   * its answer arrives at once. A claim that has not arrived for a while is the ghost's. The built-in coordinator has
   * no ghosts.
   */
  async #watchForGhosts(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const firstSeenMs = new Map<string, number>();
    while (!this.#ended.signal.aborted && performance.now() < this.#ghostUntilMs) {
      await delay(GHOST_PROBE_MS, this.#ended.signal);
      if (this.#ended.signal.aborted || this.#options.registration.reconciles) break;
      await this.#probe(firstSeenMs).catch(() => {});
    }
    this.#isWatching = false;
  }

  async #probe(firstSeenMs: Map<string, number>): Promise<void> {
    for (const run of await this.#ownRuns("claimed")) {
      const now = performance.now();
      const seenMs = firstSeenMs.get(run.run_id) ?? now;
      firstSeenMs.set(run.run_id, seenMs);
      if (now - seenMs >= ON_ITS_WAY_MS) await this.#agreeOn(run, "claimed");
    }
  }

  async #check(): Promise<void> {
    const { reconciler, registration } = this.#options;
    if (registration.reconciles) return reconciler.exchange({ isQuiet: true });
    for (const status of STATUSES) for (const run of await this.#ownRuns(status)) await this.#agreeOn(run, status);
  }

  async #agreeOn(run: Run, status: string): Promise<void> {
    if (status === "claimed" && (await this.#isInHook(run))) {
      this.#dueAtMs.push(performance.now() + GHOST_MARGIN_MS);
      return;
    }
    await this.#options.reconciler.agreeOn({ run_id: run.run_id, status, is_own: true }, true, run);
  }

  /**
   * A coordinator of the second generation claims a run, then runs a hook inside the poll, which may block the run.
   * Such a claim is not lost.
   */
  async #isInHook(run: Run): Promise<boolean> {
    if (run["parameters"] == null) return false;
    const events = await this.#eventsOf(run.session_id);
    const begun = events.filter(({ event_type }) => event_type === "hook_start").length;
    const ended = events.filter(({ event_type }) => HOOK_ENDS.has(event_type)).length;
    return begun > ended;
  }

  /** None where the coordinator does not know the session. Rejects while it is away: the probe is repeated. */
  async #eventsOf(sessionId: string): Promise<readonly SessionEvent[]> {
    try {
      return (await this.#options.coordinator.sessionEvents(sessionId, null, MAX_EVENTS)).events;
    } catch (error) {
      if (failureOfThrown("events", error).kind === "refused") return [];
      throw error;
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
