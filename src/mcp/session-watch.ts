import { Backoff } from "../async/backoff.ts";
import { delay } from "../async/delay.ts";
import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { failureOfThrown } from "../client/failure.ts";
import type { Log } from "../log.ts";

/** Where the coordinator tells no ends: how often a wait looks, at the least, and how far apart all looks together are. */
const LOOK_EVERY_MS = 2_000;
const BETWEEN_LOOKS_MS = 20;
/** Where it does: against a connection that has died unseen. */
const LOOK_ANYWAY_EVERY_MS = 30_000;
/** At most 256 requests of a process are in flight at once, and reports must find room. */
const LOOKS_AT_ONCE = 8;

export interface SessionWatchOptions {
  readonly coordinator: CoordinatorClient;
  readonly log: Log;
}

/**
 * Waits for what happens in sessions, any number of them over one stream of the coordinator's. A coordinator that has no such stream (the
 * existing ones) is asked again and again. There is no stream while nobody waits.
 */
export class SessionWatch {
  readonly #options: SessionWatchOptions;
  readonly #looks = new Semaphore(LOOKS_AT_ONCE);
  /** What to call when a run of the session has ended; a session may be waited for more than once. */
  readonly #waiting = new Map<() => void, string>();
  #stream: AbortController | null = null;
  #isTold = false;

  constructor(options: SessionWatchOptions) {
    this.#options = options;
  }

  /**
   * Resolves to what `look` gives as soon as that is not null, or to null when the signal fires. A coordinator that is away is waited
   * for; a look that it refuses rejects.
   */
  async until<T>(sessionId: string, look: () => Promise<T | null>, signal: AbortSignal): Promise<T | null> {
    while (!signal.aborted) {
      const early = new AbortController();
      const wake = (): void => early.abort();
      signal.addEventListener("abort", wake, { once: true });
      // Before the look: what happens during it ends the pause that follows.
      this.#join(wake, sessionId);
      try {
        const seen = await this.#looks.hold(look).catch((error: unknown) => this.#excuse(error));
        if (seen !== null) return seen;
        await delay(this.#pauseMs, early.signal);
      } finally {
        signal.removeEventListener("abort", wake);
        this.#leave(wake);
      }
    }
    return null;
  }

  get #pauseMs(): number {
    return this.#isTold ? LOOK_ANYWAY_EVERY_MS : Math.max(LOOK_EVERY_MS, this.#waiting.size * BETWEEN_LOOKS_MS);
  }

  #excuse(error: unknown): null {
    if (failureOfThrown("look", error).kind === "refused") throw error;
    return null;
  }

  #join(wake: () => void, sessionId: string): void {
    this.#waiting.set(wake, sessionId);
    if (this.#stream !== null) return;
    this.#stream = new AbortController();
    void this.#listen(this.#stream.signal);
  }

  /** Not at once: whoever looks again joins in the same turn. */
  #leave(wake: () => void): void {
    this.#waiting.delete(wake);
    setImmediate(() => {
      if (this.#waiting.size > 0) return;
      this.#stream?.abort();
      this.#stream = null;
      this.#isTold = false;
    });
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ baseMs: 500, capMs: 10_000 });
    while (!signal.aborted) {
      try {
        if (!(await this.#follow(signal, backoff))) return;
      } catch (error) {
        const failure = failureOfThrown("GET /sse/sessions", error);
        if (failure.kind === "refused") return;
        if (!signal.aborted) this.#options.log.debug(`No word of runs that end: ${failure.message}`);
      }
      await delay(backoff.nextMs(), signal);
    }
  }

  /** False where the coordinator has no such stream. */
  async #follow(signal: AbortSignal, backoff: Backoff): Promise<boolean> {
    let hasBegun = false;
    try {
      for await (const sessionId of this.#options.coordinator.runEnds(signal)) {
        if (sessionId !== null) {
          this.#wake(sessionId);
          continue;
        }
        hasBegun = true;
        backoff.reset();
        this.#setTold(true);
      }
      return hasBegun;
    } finally {
      if (hasBegun && this.#stream?.signal === signal) this.#setTold(false);
    }
  }

  /** Everyone looks: what was not told before, or is not any more, is seen now. */
  #setTold(isTold: boolean): void {
    this.#isTold = isTold;
    for (const wake of this.#waiting.keys()) wake();
  }

  #wake(sessionId: string): void {
    for (const [wake, waitsFor] of this.#waiting) if (waitsFor === sessionId) wake();
  }
}
