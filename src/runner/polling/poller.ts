import { aborted } from "../../async/aborted.ts";
import { Backoff } from "../../async/backoff.ts";
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
  /** Takes what a poll brought, at once; the next poll goes out after it returns. */
  readonly onMessage: (message: PollMessage) => void;
}

/** A poll may take so much longer than the coordinator said before it counts as dead. */
const POLL_MARGIN_MS = 5_000;
/** A coordinator that answers every long poll at once, with nothing or with the same stops, must not make a busy loop of it. */
const QUICK_ANSWER_MS = 20;
const QUICK_EMPTY_CAP_MS = 1_000;

/**
 * The long poll. One is open at a time, and one that may claim is never left before it is answered: what a coordinator gives to a
 * poll that nobody reads is lost. So there are two ways to leave:
 * - `stopTaking()`: the open poll runs out, no other that may claim is opened. Where `capacity=0` is understood, polls for stop
 *   commands alone take its place at once (they claim nothing and may be dropped at any time)
 * - `abandon()`: the last way out, when the coordinator does not answer any more
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #leaving = new AbortController();
  readonly #abandon = new AbortController();
  #claiming: Promise<void> | null = null;
  #deregistered = false;

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  /** Resolves when the poll that may claim is answered and its message taken; null if none is open. */
  get openClaim(): Promise<void> | null {
    return this.#claiming;
  }

  stopTaking(): void {
    this.#leaving.abort();
    // A coordinator that understands `capacity` gives a runner one poll at a time: this one ends the one that may claim.
    if (this.#claiming !== null && this.#options.registration.takesCapacity)
      void this.#stopsOnlyPoll().catch(() => null);
  }

  abandon(): void {
    this.#leaving.abort();
    this.#abandon.abort();
  }

  /** Polls until it is abandoned, or deregistered. */
  async run(): Promise<void> {
    const { registration } = this.#options;
    const backoff = new Backoff();
    while (!this.#abandon.signal.aborted && !this.#deregistered) {
      const mayClaim = this.#mayClaim;
      if (mayClaim || registration.takesCapacity) await this.#pollOnce(mayClaim, backoff);
      // There is no way to ask this coordinator for stops only: `StopWatch` looks at the runs one by one meanwhile.
      else await this.#untilRung();
    }
  }

  get #mayClaim(): boolean {
    return !this.#hasNoRoom && !this.#leaving.signal.aborted;
  }

  get #hasNoRoom(): boolean {
    return this.#options.registry.isFull || this.#options.intake.isClosed;
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
        // That is what was asked for: another poll of ours has been told so.
        registration.lost();
      } else if (failure.kind === "unregistered") {
        await registration.renew();
      } else {
        link.down(failure);
        // A refused connection carried nothing; any other poll that ended like this may have claimed.
        lostClaims.expect({ isGhostPossible: mayClaim && !failure.isConnectionRefused });
      }
      log.debug(`Poll failed: ${failure.message}`);
      await link.pause(backoff.nextMs(), this.#abandon.signal);
    }
  }

  /** Null when the look at lost claims took the last slot, or found no room, or the runner began to leave during it. */
  async #claimingPoll(): Promise<PollMessage | null> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // Whoever leaves waits for the look too: it may bring a run, like the poll.
    this.#claiming = promise;
    try {
      await this.#options.lostClaims.lookIfDue();
      return this.#mayClaim ? this.#take(await this.#poll(false, this.#abandon.signal)) : null;
    } finally {
      this.#claiming = null;
      resolve();
    }
  }

  /** Null when it was dropped because runs may be taken again, or the runner leaves. */
  async #stopsOnlyPoll(): Promise<PollMessage | null> {
    const { bell } = this.#options;
    using drop = linked(this.#abandon.signal);
    const isWanted = (): boolean => this.#hasNoRoom || this.#leaving.signal.aborted;
    let isOpen = true;
    const dropWhenUnwanted = async (): Promise<void> => {
      while (isOpen && isWanted()) await bell.rung();
      drop.abort();
    };
    void dropWhenUnwanted();
    try {
      return this.#take(await this.#poll(true, drop.signal));
    } catch (error) {
      if (drop.signal.aborted) return null;
      throw error;
    } finally {
      isOpen = false;
    }
  }

  #poll(stopsOnly: boolean, signal: AbortSignal): Promise<PollMessage> {
    const { coordinator, registration } = this.#options;
    const timeoutMs = registration.pollTimeoutSeconds * 1000 + POLL_MARGIN_MS;
    return coordinator.poll(registration.runnerId, {
      stopsOnly,
      showsOutput: registration.showsOutput,
      timeoutMs,
      signal,
    });
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
    const leaving = this.#leaving.signal;
    using early = linked(this.#abandon.signal, leaving.aborted ? undefined : leaving);
    await Promise.race([this.#options.bell.rung(), aborted(early.signal)]);
  }
}
