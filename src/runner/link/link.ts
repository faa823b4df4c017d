import { delay } from "../../async/delay.ts";
import { describeMs } from "../../async/describe-ms.ts";
import { linked } from "../../async/linked.ts";
import type { CoordinatorFailure } from "../../client/failure.ts";
import type { Log } from "../../log.ts";

/**
 * Whether the coordinator can be reached, as all calls together see it. One line is logged when it goes away and one when it is
 * back; whoever waits to try again is woken when another call finds it back.
 */
export class Link {
  readonly #log: Log;
  readonly #maxOfflineMs: number;
  readonly #onOfflineTooLong: () => void;
  readonly #waiters = new Set<() => void>();
  #downSinceMs: number | null = null;
  #lastAnswerAtMs: number | null = null;
  #lastCallAtMs: number | null = null;
  #offlineTimer: ReturnType<typeof setTimeout> | undefined;

  /** `maxOfflineMs` 0: being away is never too long. */
  constructor(log: Log, maxOfflineMs: number, onOfflineTooLong: () => void) {
    this.#log = log;
    this.#maxOfflineMs = maxOfflineMs;
    this.#onOfflineTooLong = onOfflineTooLong;
  }

  get isDown(): boolean {
    return this.#downSinceMs !== null;
  }

  /** When a call was last answered (`performance.now()`); null before the first. */
  get lastAnswerAtMs(): number | null {
    return this.#lastAnswerAtMs;
  }

  /** When a call last came to its end, answered or not (`performance.now()`): as long as that goes on, this runner is at work. */
  get lastCallAtMs(): number | null {
    return this.#lastCallAtMs;
  }

  /** A call was answered. */
  up(): void {
    this.#lastAnswerAtMs = this.#lastCallAtMs = performance.now();
    if (this.#downSinceMs === null) return;
    const awayMs = performance.now() - this.#downSinceMs;
    this.#downSinceMs = null;
    clearTimeout(this.#offlineTimer);
    this.#log.info(`Agent Coordinator is back after ${describeMs(awayMs)}`);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /** A call was not answered. */
  down(failure: CoordinatorFailure): void {
    this.#lastCallAtMs = performance.now();
    if (this.#downSinceMs !== null) return;
    this.#downSinceMs = performance.now();
    this.#log.warn(`Agent Coordinator is away (${failure.message}); trying again until it is back`);
    if (this.#maxOfflineMs > 0) this.#offlineTimer = setTimeout(this.#onOfflineTooLong, this.#maxOfflineMs);
  }

  /** Waits `ms`, less if the coordinator turns out to be back, or if `signal` fires. */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    using early = linked(signal);
    const wake = (): void => early.abort();
    this.#waiters.add(wake);
    await delay(ms, early.signal);
    this.#waiters.delete(wake);
  }

  close(): void {
    clearTimeout(this.#offlineTimer);
  }
}
