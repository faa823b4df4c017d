import type { Log } from "../../log.ts";
import { SET_COUNTER } from "./schema.ts";
import type { Store } from "./store.ts";

const DAY_MS = 86_400_000;
/** A machine that was off for longer looks like a clock that is wrong. */
const CREDIBLE_JUMP_MS = 7 * DAY_MS;
/** After living this long with the new time, it is believed. */
const PROBATION_MS = DAY_MS;

const ACCEPTED = "accepted_clock_ms";

/**
 * Decides whether the wall clock may be used to delete old data. A start with a clock 100 days ahead would delete the
 * whole history, and the next start with the right clock could not bring it back.
 */
export class ClockGuard {
  readonly #store: Store;
  readonly #log: Log;
  /** `performance.now()` when the jump was noticed; null while the clock is believed. */
  #doubtedSinceMs: number | null = null;
  #checkedMs = performance.now();
  #acceptedMs: number;

  private constructor(store: Store, log: Log, acceptedMs: number) {
    this.#store = store;
    this.#log = log;
    this.#acceptedMs = acceptedMs;
  }

  static async open(store: Store, log: Log): Promise<ClockGuard> {
    return new ClockGuard(store, log, (await storedMs(store)) ?? (await newestRecordMs(store)) ?? Date.now());
  }

  /** Call before old data is deleted. */
  async isCredible(): Promise<boolean> {
    const now = performance.now();
    const expectedMs = this.#acceptedMs + now - this.#checkedMs;
    this.#checkedMs = now;
    const jumpMs = Date.now() - expectedMs;
    if (jumpMs > CREDIBLE_JUMP_MS && !this.#isProbationOver(now, jumpMs)) {
      await this.#accept(expectedMs);
      return false;
    }
    this.#doubtedSinceMs = null;
    await this.#accept(Date.now());
    return true;
  }

  #isProbationOver(now: number, jumpMs: number): boolean {
    if (this.#doubtedSinceMs === null) {
      this.#doubtedSinceMs = now;
      this.#log.warn(
        `The clock is ${Math.round(jumpMs / DAY_MS)} days ahead of the newest record. ` +
          "Nothing old is deleted for 24 h; set the clock if it is wrong",
      );
    }
    return now - this.#doubtedSinceMs > PROBATION_MS;
  }

  async #accept(ms: number): Promise<void> {
    this.#acceptedMs = ms;
    await this.#store.write(() => this.#store.run(SET_COUNTER, ACCEPTED, Math.round(ms)));
  }
}

async function storedMs(store: Store): Promise<number | null> {
  return (await store.get<{ value: number }>("SELECT value FROM counters WHERE name = ?", ACCEPTED))?.value ?? null;
}

async function newestRecordMs(store: Store): Promise<number | null> {
  const row = await store.get<{ created_at: string }>("SELECT created_at FROM runs ORDER BY seq DESC LIMIT 1");
  return row === null ? null : Date.parse(row.created_at);
}
