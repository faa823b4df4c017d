import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import type { PollMessage } from "../../protocol/poll.ts";
import type { Run } from "../../protocol/run.ts";
import type { RunView } from "../../protocol/runner.ts";
import type { Registration } from "../link/registration.ts";
import type { RunRegistry } from "../runs/run-registry.ts";
import type { Hooks, HookState } from "./hooks.ts";
import type { Reconciler } from "./reconcile.ts";

export interface LostClaimsOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: Pick<RunRegistry, "knows">;
  readonly hooks: Pick<Hooks, "stateOf" | "retain" | "areUsed">;
  readonly onMessage: (message: PollMessage) => void;
  readonly reconciler: Pick<Reconciler, "exchange" | "agreeOn">;
  readonly log: Log;
}

/** When the oldest open poll was opened, on the clock of `performance.now()`. */
interface OpenPoll {
  readonly openSinceMs: number;
}

const NO_POLL: OpenPoll = { openSinceMs: Number.POSITIVE_INFINITY };

/** The statuses that a coordinator without reconciliation is asked for, after `claimed`. */
const OTHER_STATUSES = ["stopping", "running"] as const;

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

  /** `openSinceMs`: since when a poll in a hook is open, which may bring a claim that the hook works on. */
  async checkIfDue({ openSinceMs }: OpenPoll = NO_POLL): Promise<void> {
    const now = performance.now();
    if (now < Math.min(this.#nextRegularMs, ...this.#dueAtMs)) return;
    try {
      const areAllSettled = await this.#check({ openSinceMs });
      this.#dueAtMs = this.#dueAtMs.filter((at) => at > now);
      this.#nextRegularMs = areAllSettled ? now + CHECK_INTERVAL_MS : now;
    } catch (error) {
      // The check stays due. The poll that follows reports what is wrong.
      this.#options.log.debug(`Could not check for lost claims: ${failureOfThrown("runs", error).message}`);
    }
  }

  /**
   * The number of claims that have not arrived because the coordinator executes a hook for them, or that an open poll
   * may be about to bring. `isProbe`: reads no runs if no agent has a hook. Rejects with a CoordinatorFailure.
   */
  async countInHook({ isProbe, openSinceMs }: OpenPoll & { isProbe: boolean }): Promise<number> {
    let count = 0;
    if (isProbe && !(await this.#options.hooks.areUsed())) return count;
    for (const run of await this.#ownRuns("claimed"))
      if ((await this.#hookOf(run, { openSinceMs })) === "working") count++;
    return count;
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
      if (now - seenMs >= ON_ITS_WAY_MS) await this.#settle(run, NO_POLL);
    }
  }

  /** Returns false if a claim is left to its hook. */
  async #check(poll: OpenPoll): Promise<boolean> {
    const { reconciler, registration, hooks } = this.#options;
    if (registration.reconciles) {
      await reconciler.exchange({ isQuiet: true });
      return true;
    }
    const claimed = await this.#ownRuns("claimed");
    hooks.retain(claimed.map(({ run_id }) => run_id));
    let areAllSettled = true;
    for (const run of claimed) if (!(await this.#settle(run, poll))) areAllSettled = false;
    for (const status of OTHER_STATUSES)
      for (const run of await this.#ownRuns(status)) await reconciler.agreeOn(viewOf(run), true, run);
    return areAllSettled;
  }

  /** Takes up a lost claim. Returns false if its hook works on it. */
  async #settle(run: Run, poll: OpenPoll): Promise<boolean> {
    const { reconciler, onMessage } = this.#options;
    const hook = await this.#hookOf(run, poll);
    if (hook === "working") return false;
    if (hook === "unanswered") onMessage(unanswered(run));
    // A hook may have changed the run since it was read.
    else await reconciler.agreeOn(viewOf(run), true, hook === "none" ? run : undefined);
    return true;
  }

  /** A run that is claimed there is lost, unless it is here, or a poll may still bring it after its hook. */
  async #hookOf(run: Run, { openSinceMs }: OpenPoll): Promise<HookState> {
    const { registry, hooks } = this.#options;
    return registry.knows(run.run_id) ? "none" : hooks.stateOf(run, openSinceMs);
  }

  /** Not every coordinator applies the filters. */
  async #ownRuns(status: "claimed" | (typeof OTHER_STATUSES)[number]): Promise<Run[]> {
    const { coordinator, registration } = this.#options;
    const { runnerId } = registration;
    const runs = await coordinator.runs({ status, runner_id: runnerId });
    return runs.filter((run) => run.status === status && run.runner_id === runnerId);
  }
}

function viewOf({ run_id, status }: Run): RunView {
  return { run_id, status, is_own: true };
}

function unanswered({ run_id, session_id }: Run): PollMessage {
  const fault = "its hook on_run_start gave no answer in time, and blocks the run then (on_error)";
  return { kind: "bad-run", runId: run_id, sessionId: session_id, fault };
}
