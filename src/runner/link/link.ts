import { delay } from "../../async/delay.ts";
import { describeMs } from "../../async/describe-ms.ts";
import { linked } from "../../async/linked.ts";
import type { CoordinatorFailure } from "../../client/failure.ts";
import type { Log } from "../../log.ts";

/**
 * Whether the coordinator answers, from the results of all calls. Logs one line when the coordinator goes away and one
 * when it is back. A call that succeeds wakes every other call that waits for a retry.
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

  /** `maxOfflineMs` 0: no limit. */
  constructor(log: Log, maxOfflineMs: number, onOfflineTooLong: () => void) {
    this.#log = log;
    this.#maxOfflineMs = maxOfflineMs;
    this.#onOfflineTooLong = onOfflineTooLong;
  }

  get isDown(): boolean {
    return this.#downSinceMs !== null;
  }

  /** `performance.now()` at the last answer; null before the first. */
  get lastAnswerAtMs(): number | null {
    return this.#lastAnswerAtMs;
  }

  /** `performance.now()` at the last end of a call, answered or not; null before the first. For systemd's watchdog. */
  get lastCallAtMs(): number | null {
    return this.#lastCallAtMs;
  }

  /** Call it for each answer. */
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

  /** Call it for each call without an answer. */
  down(failure: CoordinatorFailure): void {
    this.#lastCallAtMs = performance.now();
    if (this.#downSinceMs !== null) return;
    this.#downSinceMs = performance.now();
    this.#log.warn(`Agent Coordinator is away (${failure.message}); retrying until it is back`);
    if (this.#maxOfflineMs > 0) this.#offlineTimer = setTimeout(this.#onOfflineTooLong, this.#maxOfflineMs);
  }

  /** Waits `ms`, or until the coordinator is back or `signal` fires. */
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
