import { Backoff } from "../../../async/backoff.ts";
import { delay } from "../../../async/delay.ts";
import { Outdated } from "../store.ts";
import { errorKindOf } from "./postgres-errors.ts";

const REPEAT_FOR_MS = 5_000;

/** Decides whether a transaction that failed is executed again, and when. */
export class Repetition {
  /** On the clock of `performance.now()`. */
  readonly endsAt = performance.now() + REPEAT_FOR_MS;
  readonly #pool: { readonly isClosed: boolean };
  readonly #backoff = new Backoff({ baseMs: 10, capMs: 500 });
  #duplicates = 0;

  constructor(pool: { readonly isClosed: boolean }) {
    this.#pool = pool;
  }

  /** Resolves with true after a pause, or with false at once if another attempt is of no use. */
  async pause(error: unknown): Promise<boolean> {
    const kind = errorKindOf(error);
    const isTransient =
      error instanceof Outdated || kind === "conflict" || kind === "connection" || kind === "stale-plan";
    // The second look finds the row that the other transaction inserted.
    const isNewDuplicate = kind === "duplicate" && this.#duplicates++ === 0;
    if (!(isTransient || isNewDuplicate) || this.#pool.isClosed || performance.now() > this.endsAt) return false;
    await delay(this.#backoff.nextMs());
    return true;
  }
}
