import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { steadyMs } from "./clock.ts";
import { Refusal } from "./refusal.ts";
import type { Store } from "./store.ts";

/** Work that only the clock triggers. */
export interface Clockwork {
  /** The next deadline, in ms since the epoch; null without one. */
  readonly nextAt: () => Promise<number | null>;
  /** Does the due work, or a part of it; returns how many items. */
  readonly act: () => Promise<number>;
}

/** Bounds the delay after a change of the clock or a suspend of the machine. */
const LONGEST_WAIT_MS = 60_000;
/** Delays the retry after an error, which would otherwise repeat in a tight loop. */
const RETRY_DELAY_MS = 1_000;

/** One timer for all deadlines, set for the earliest in the database. Code that writes a deadline calls `expect`. */
export class Deadlines implements Disposable {
  readonly #store: Pick<Store, "afterCommit">;
  readonly #log: Log;
  #clockwork: Clockwork | undefined;
  #timer: Timer | undefined;
  #wakesAt = Infinity;
  /** Due work is being done: the timer is set when it is through. */
  #isActing = false;

  constructor(store: Pick<Store, "afterCommit">, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** Does what is due already. */
  start(clockwork: Clockwork): void {
    this.#clockwork = clockwork;
    this.#setFor(0);
  }

  /** Sets the timer for `at` (`steadyMs`) if that is earlier, once the deadline is committed. */
  expect(at: number): void {
    this.#store.afterCommit(() => this.#expect(at));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#clockwork = undefined;
  }

  #expect(at: number): void {
    if (this.#clockwork === undefined || at >= this.#wakesAt) return;
    if (this.#isActing) this.#wakesAt = at;
    else this.#setFor(at);
  }

  #setFor(at: number, leastMs = 1): void {
    clearTimeout(this.#timer);
    const ms = Math.min(Math.max(at - steadyMs(), leastMs), LONGEST_WAIT_MS);
    this.#wakesAt = steadyMs() + ms;
    this.#timer = setTimeout(() => void this.#fire(), ms);
  }

  async #fire(): Promise<void> {
    const clockwork = this.#clockwork;
    if (clockwork === undefined) return;
    this.#isActing = true;
    // What is expected from now on may be committed after `nextAt` has looked.
    this.#wakesAt = Infinity;
    let [at, leastMs] = [0, RETRY_DELAY_MS];
    try {
      const done = await clockwork.act();
      at = (await clockwork.nextAt()) ?? Infinity;
      leastMs = done > 0 ? 1 : 10;
    } catch (error) {
      // A fault of the database is logged by its health, once. `close` may close it in the middle.
      if (!(error instanceof Refusal) && this.#clockwork !== undefined)
        this.#log.error(`Timed work failed: ${describeError(error)}`);
    }
    this.#isActing = false;
    if (this.#clockwork !== undefined) this.#setFor(Math.min(at, this.#wakesAt), leastMs);
  }
}
