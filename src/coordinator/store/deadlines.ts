import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { Refusal } from "./refusal.ts";
import { steadyMs } from "./clock.ts";

/** Work that only the clock triggers. */
export interface Clockwork {
  /** The next deadline, in ms since the epoch; null without one. */
  readonly nextAt: () => number | null;
  /** Does the due work, or a part of it; returns how many items. */
  readonly act: () => number;
}

/** Bounds the delay after a change of the clock or a suspend of the machine. */
const LONGEST_WAIT_MS = 60_000;
/** Delays the retry after an error, which would otherwise repeat in a tight loop. */
const RETRY_DELAY_MS = 1_000;

/** One timer for all deadlines, set for the earliest in the database. Code that writes a deadline calls `expect`. */
export class Deadlines implements Disposable {
  readonly #log: Log;
  #clockwork: Clockwork | undefined;
  #timer: Timer | undefined;
  #wakesAt = Infinity;

  constructor(log: Log) {
    this.#log = log;
  }

  start(clockwork: Clockwork): void {
    this.#clockwork = clockwork;
    this.#setFor(clockwork.nextAt() ?? Infinity);
  }

  /** Sets the timer for `at` (`steadyMs`) if that is earlier. A rollback costs one needless wake-up. */
  expect(at: number): void {
    if (this.#clockwork !== undefined && at < this.#wakesAt) this.#setFor(at);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#clockwork = undefined;
  }

  #setFor(at: number, leastMs = 1): void {
    clearTimeout(this.#timer);
    const ms = Math.min(Math.max(at - steadyMs(), leastMs), LONGEST_WAIT_MS);
    this.#wakesAt = steadyMs() + ms;
    this.#timer = setTimeout(() => this.#fire(), ms);
  }

  #fire(): void {
    const clockwork = this.#clockwork;
    if (clockwork === undefined) return;
    try {
      const done = clockwork.act();
      this.#setFor(clockwork.nextAt() ?? Infinity, done > 0 ? 1 : 10);
    } catch (error) {
      // A fault of the database is logged by its health, once.
      if (!(error instanceof Refusal)) this.#log.error(`Timed work failed: ${describeError(error)}`);
      this.#setFor(0, RETRY_DELAY_MS);
    }
  }
}
