import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";

/** What is done by the passing of time alone. */
export interface Clockwork {
  /** When the next thing is due, as `Date.now()` counts; null if nothing is. */
  readonly nextAt: () => number | null;
  /** Does what is due, or a part of it; how much was done. */
  readonly act: () => number;
}

/** A clock that was set, or a machine that slept, is noticed after this long. */
const LONGEST_WAIT_MS = 60_000;
/** Where nothing could be done about what is due, it is not looked at again at once. */
const AFTER_FAULT_MS = 1_000;

/**
 * One timer for everything that is due at a time: it is set for the earliest, which the database knows. Whoever writes something that
 * may be due earlier says so with `expect`.
 */
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

  /** Something will be due then (as `Date.now()` counts). A transaction that is undone costs one look too many. */
  expect(at: number): void {
    if (this.#clockwork !== undefined && at < this.#wakesAt) this.#setFor(at);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#clockwork = undefined;
  }

  #setFor(at: number, leastMs = 1): void {
    clearTimeout(this.#timer);
    const ms = Math.min(Math.max(at - Date.now(), leastMs), LONGEST_WAIT_MS);
    this.#wakesAt = Date.now() + ms;
    this.#timer = setTimeout(() => this.#fire(), ms);
  }

  #fire(): void {
    const clockwork = this.#clockwork;
    if (clockwork === undefined) return;
    try {
      const done = clockwork.act();
      this.#setFor(clockwork.nextAt() ?? Infinity, done > 0 ? 1 : 10);
    } catch (error) {
      this.#log.error(`what is due: ${describeError(error)}`);
      this.#setFor(0, AFTER_FAULT_MS);
    }
  }
}
