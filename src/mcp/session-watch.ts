import { Backoff } from "../async/backoff.ts";
import { delay } from "../async/delay.ts";
import { linked } from "../async/linked.ts";
import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { failureOfThrown } from "../client/failure.ts";
import type { Log } from "../log.ts";

/** Without a stream: the minimum interval between two checks of one wait, and between any two checks. */
const POLL_EVERY_MS = 2_000;
const POLL_SPACING_MS = 20;
/** With a stream: still checks regularly, because a connection can die unnoticed. */
const SAFETY_CHECK_EVERY_MS = 30_000;
/** Bounds the checks in flight: a process may have 256 requests in flight, and reports need room. */
const MAX_CONCURRENT_CHECKS = 8;

export interface SessionWatchOptions {
  readonly coordinator: CoordinatorClient;
  readonly log: Log;
}

/**
 * Waits for runs to end. All waits share one event stream of the coordinator, open only while somebody waits. Polls
 * coordinators without such a stream (the Python coordinators).
 */
export class SessionWatch {
  readonly #options: SessionWatchOptions;
  readonly #checks = new Semaphore(MAX_CONCURRENT_CHECKS);
  /** Session ids by the callback to call when a run of the session ends. A session may have several waits. */
  readonly #waiting = new Map<() => void, string>();
  #stream: AbortController | null = null;
  #isStreaming = false;

  constructor(options: SessionWatchOptions) {
    this.#options = options;
  }

  /**
   * Calls `check` until it returns a value other than null, and resolves to that value; null when the signal fires.
   * Retries transient failures; rejects when the coordinator refuses a check.
   */
  async until<T>(sessionId: string, check: () => Promise<T | null>, signal: AbortSignal): Promise<T | null> {
    while (!signal.aborted) {
      using early = linked(signal);
      const wake = (): void => early.abort();
      // Before the check: a run that ends during the check then ends the following pause.
      this.#join(wake, sessionId);
      try {
        const value = await this.#checks.hold(check).catch((error: unknown) => this.#ignoreTransient(error));
        if (value !== null) return value;
        await delay(this.#pauseMs, early.signal);
      } finally {
        this.#leave(wake);
      }
    }
    return null;
  }

  get #pauseMs(): number {
    return this.#isStreaming ? SAFETY_CHECK_EVERY_MS : Math.max(POLL_EVERY_MS, this.#waiting.size * POLL_SPACING_MS);
  }

  #ignoreTransient(error: unknown): null {
    if (failureOfThrown("check", error).kind === "refused") throw error;
    return null;
  }

  #join(wake: () => void, sessionId: string): void {
    this.#waiting.set(wake, sessionId);
    if (this.#stream !== null) return;
    this.#stream = new AbortController();
    void this.#listen(this.#stream.signal);
  }

  /** Closes the stream one turn later: a wait that checks again leaves and joins in the same turn. */
  #leave(wake: () => void): void {
    this.#waiting.delete(wake);
    setImmediate(() => {
      if (this.#waiting.size > 0) return;
      this.#stream?.abort();
      this.#stream = null;
      this.#isStreaming = false;
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
        if (!signal.aborted) this.#options.log.debug(`The stream of ended runs failed: ${failure.message}`);
      }
      await delay(backoff.nextMs(), signal);
    }
  }

  /** Reads the stream until its end. False: the coordinator has no such stream. */
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
        this.#setStreaming(true);
      }
      return hasBegun;
    } finally {
      if (hasBegun && this.#stream?.signal === signal) this.#setStreaming(false);
    }
  }

  /** Wakes every wait: a run may have ended while there was no stream. */
  #setStreaming(isStreaming: boolean): void {
    this.#isStreaming = isStreaming;
    for (const wake of this.#waiting.keys()) wake();
  }

  #wake(sessionId: string): void {
    for (const [wake, waitsFor] of this.#waiting) if (waitsFor === sessionId) wake();
  }
}
