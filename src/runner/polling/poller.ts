import { aborted } from "../../async/aborted.ts";
import { Backoff } from "../../async/backoff.ts";
import { withDeadline } from "../../async/delay.ts";
import { linked } from "../../async/linked.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log } from "../../log.ts";
import type { PollMessage } from "../../protocol/poll.ts";
import type { Intake } from "../runs/intake.ts";
import type { Link } from "../link/link.ts";
import type { LostClaims } from "./lost-claims.ts";
import type { Registration } from "../link/registration.ts";
import type { Bell } from "../runs/bell.ts";
import type { RunRegistry } from "../runs/run-registry.ts";

export interface PollerOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  readonly intake: Intake;
  /** Rings when `registry` or `intake` changes. */
  readonly bell: Bell;
  readonly lostClaims: LostClaims;
  readonly link: Link;
  readonly log: Log;
  /** Handles a message. Must not block: the next poll starts when the handler returns. */
  readonly onMessage: (message: PollMessage) => void;
}

/** A poll that exceeds the coordinator's time-out by more counts as dead. */
const POLL_MARGIN_MS = 5_000;
/** How often an open poll is checked for a hook. */
const HOOK_PROBE_MS = 5_000;
/** Slows the polls down if the coordinator answers each at once with nothing new: no busy loop. */
const QUICK_ANSWER_MS = 20;
const QUICK_EMPTY_CAP_MS = 1_000;

/**
 * Polls, one poll at a time. A poll in which a coordinator of the second generation executes a hook is kept beside the
 * next ones: the hook's agent may need this runner. Never abandons a poll that may claim: a run in an answer that
 * nobody reads is lost. So there are two ways to end:
 * - `stopTaking()`: waits for the open poll, and opens no other that may claim. If the coordinator takes `capacity=0`,
 *   polls for stop commands replace it at once: they claim nothing and may be abandoned at any time.
 * - `abandon()`: the last resort, when the coordinator no longer answers.
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #leaving = new AbortController();
  readonly #abandon = new AbortController();
  #claiming: Promise<void> | null = null;
  /**
   * The polls in which the coordinator executes a hook, with the times when they were opened. Each may still bring a
   * run, and holds a slot for it.
   */
  readonly #inHook = new Map<Promise<void>, number>();
  #deregistered = false;

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  /** Resolves when the poll that may claim is answered and its message handled; null if none is open. */
  get openClaim(): Promise<void> | null {
    return this.#claiming;
  }

  /** The number of polls in which the coordinator executes a hook. The bell rings when it changes. */
  get inHook(): number {
    return this.#inHook.size;
  }

  stopTaking(): void {
    this.#leaving.abort();
    // The coordinator keeps one poll per runner open, so this poll ends the one that may claim.
    if (this.#claiming !== null && this.#options.registration.takesCapacity)
      void this.#stopsOnlyPoll().catch(() => null);
  }

  abandon(): void {
    this.#leaving.abort();
    this.#abandon.abort();
  }

  /** Polls until `abandon`, or until the coordinator has deregistered the runner. */
  async run(): Promise<void> {
    const { registration } = this.#options;
    const backoff = new Backoff();
    while (!this.#abandon.signal.aborted && !this.#deregistered) {
      const mayClaim = this.mayClaim;
      if (mayClaim || registration.takesCapacity) await this.#pollOnce(mayClaim, backoff);
      // This coordinator cannot be polled for stops alone: `watchForStops` checks the runs one by one meanwhile.
      else await this.#untilRung();
    }
    await Promise.all(this.#inHook.keys());
  }

  /** Whether the next poll may claim. Otherwise, only a coordinator that takes `capacity=0` is polled. */
  get mayClaim(): boolean {
    return !this.#hasNoRoom && !this.#leaving.signal.aborted;
  }

  get #hasNoRoom(): boolean {
    return this.#options.registry.isFullWith(this.#inHook.size) || !this.#options.intake.takesRuns;
  }

  async #pollOnce(mayClaim: boolean, backoff: Backoff): Promise<void> {
    const { link, lostClaims, registration, log } = this.#options;
    const startedMs = performance.now();
    try {
      const message = await (mayClaim ? this.#claimingPoll() : this.#stopsOnlyPoll());
      const isQuick = performance.now() - startedMs < QUICK_ANSWER_MS;
      const isEmpty = message?.kind === "nothing" || message?.kind === "unknown";
      if (!isQuick || !isEmpty) backoff.reset();
      if (isQuick && message?.kind === "stops") await link.pause(QUICK_ANSWER_MS, this.#abandon.signal);
      if (isQuick && isEmpty) await link.pause(Math.min(QUICK_EMPTY_CAP_MS, backoff.nextMs()), this.#abandon.signal);
    } catch (error) {
      if (this.#abandon.signal.aborted) return;
      const failure = failureOfThrown("poll", error);
      if (failure.kind === "unregistered" && this.#leaving.signal.aborted && this.#options.registry.size === 0) {
        // Expected: the coordinator has told another poll of this runner that it is deregistered.
        registration.lost();
      } else if (failure.kind === "unregistered") {
        await registration.renew();
      } else {
        link.down(failure);
        // A refused connection carried no poll. Any other poll that failed may have claimed a run.
        lostClaims.expect({ isGhostPossible: mayClaim && !failure.isConnectionRefused });
      }
      log.debug(`Poll failed: ${failure.message}`);
      await link.pause(backoff.nextMs(), this.#abandon.signal);
    }
  }

  /** Null if the poll is in a hook, or if nothing may be claimed after the check for lost claims. */
  async #claimingPoll(): Promise<PollMessage | null> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // Set before the check, which may bring a run too: a leaving runner must wait for it.
    this.#claiming = promise;
    try {
      await this.#options.lostClaims.checkIfDue({ openSinceMs: this.#openSince() });
      const message = this.mayClaim ? await this.#poll(false, this.#abandon.signal) : null;
      return message === null ? null : this.#take(message);
    } finally {
      this.#claiming = null;
      resolve();
    }
  }

  /** Null if the poll was abandoned: the runner takes runs again, or leaves. */
  async #stopsOnlyPoll(): Promise<PollMessage | null> {
    const { bell } = this.#options;
    using early = linked(this.#abandon.signal);
    const isWanted = (): boolean => this.#hasNoRoom || this.#leaving.signal.aborted;
    let isOpen = true;
    const abortWhenUnwanted = async (): Promise<void> => {
      while (isOpen && isWanted()) await bell.rung();
      early.abort();
    };
    void abortWhenUnwanted();
    try {
      const message = await this.#poll(true, early.signal);
      return message === null ? null : this.#take(message);
    } catch (error) {
      if (early.signal.aborted) return null;
      throw error;
    } finally {
      isOpen = false;
    }
  }

  /** Null if the poll is kept because the coordinator executes a hook in it. */
  async #poll(stopsOnly: boolean, signal: AbortSignal): Promise<PollMessage | null> {
    const { coordinator, registration } = this.#options;
    const abort = linked(signal);
    const openedMs = performance.now();
    const answer = coordinator.poll(registration.runnerId, {
      stopsOnly,
      showsOutput: registration.showsOutput,
      signal: abort.signal,
    });
    const unlink = (): void => abort[Symbol.dispose]();
    void answer.then(unlink, unlink);
    const came = await (stopsOnly ? withDeadline(answer, this.#pollTimeoutMs) : this.#answerOrHook(answer, openedMs));
    if (came !== "timeout" && came !== "hook") return came;
    const abandon = (): Promise<PollMessage> => {
      abort.abort(new DOMException("timed out", "TimeoutError"));
      return answer;
    };
    if (came === "timeout" && (stopsOnly || (await this.#countInHook(openedMs)) === 0)) return abandon();
    this.#keep(answer, abandon, openedMs);
    return null;
  }

  /** `hook`: there are more hooks than kept polls. If the hook is a dead poll's, this idle one is kept to its time. */
  async #answerOrHook(answer: Promise<PollMessage>, openedMs: number): Promise<PollMessage | "timeout" | "hook"> {
    const endMs = openedMs + this.#pollTimeoutMs;
    for (;;) {
      const inTime = await withDeadline(answer, Math.min(endMs - performance.now(), HOOK_PROBE_MS));
      if (inTime !== "timeout" || performance.now() >= endMs) return inTime;
      if ((await this.#countInHook(openedMs, { isProbe: true })) > this.#inHook.size) return "hook";
    }
  }

  get #pollTimeoutMs(): number {
    return this.#options.registration.pollTimeoutSeconds * 1000 + POLL_MARGIN_MS;
  }

  /** The number of runs that have not arrived because of a hook. Without one a late poll is a dead one. */
  async #countInHook(openedMs: number, { isProbe } = { isProbe: false }): Promise<number> {
    const { registration, lostClaims } = this.#options;
    if (registration.reconciles) return 0;
    return lostClaims.countInHook({ isProbe, openSinceMs: this.#openSince(openedMs) }).catch(() => 0);
  }

  /** When the oldest of the kept polls and this one was opened. */
  #openSince(openedMs = Number.POSITIVE_INFINITY): number {
    return Math.min(openedMs, ...this.#inHook.values());
  }

  /** Keeps a poll for its time, and then for as long as the coordinator executes hooks. */
  #keep(answer: Promise<PollMessage>, abandon: () => Promise<PollMessage>, openedMs: number): void {
    const { bell, log, lostClaims } = this.#options;
    log.debug("The coordinator executes a hook in a poll: keeping the poll open");
    const untilAnswered = async (): Promise<void> => {
      try {
        let inTime: PollMessage | "timeout";
        do inTime = await withDeadline(answer, this.#pollTimeoutMs);
        while (inTime === "timeout" && (await this.#countInHook(openedMs)) > 0);
        this.#take(inTime === "timeout" ? await abandon() : inTime);
      } catch (error) {
        log.debug(`A poll in a hook failed: ${failureOfThrown("poll", error).message}`);
        lostClaims.expect({ isGhostPossible: true });
      }
    };
    const kept = untilAnswered().finally(() => {
      this.#inHook.delete(kept);
      bell.ring();
    });
    this.#inHook.set(kept, openedMs);
    bell.ring();
  }

  #take(message: PollMessage): PollMessage {
    const { link, registration, onMessage } = this.#options;
    link.up();
    if (message.kind === "deregistered") {
      this.#deregistered = true;
      registration.lost();
    }
    onMessage(message);
    return message;
  }

  /** Waits until the bell rings, or the runner begins to leave. A runner that already leaves waits for the bell. */
  async #untilRung(): Promise<void> {
    const { signal: leaving } = this.#leaving;
    using early = linked(this.#abandon.signal, leaving.aborted ? undefined : leaving);
    await Promise.race([this.#options.bell.rung(), aborted(early.signal)]);
  }
}
