import type { ActiveRun } from "./active-run.ts";

/**
 * Counts the slots in use. Slots are counted per session, not per run: the runs of a session execute one at a time. A
 * session holds its slot from the claim of its first run to the end of the last executor.
 *
 * A run whose agent waits for another run holds no slot: at the limit the other run would never begin. The run
 * continues as soon as the wait is over, so the limit may be exceeded for a moment.
 */
export class Slots {
  readonly #limit: number;
  /** Per session: the runs whose executor has not ended, or not begun. */
  readonly #open = new Map<string, number>();
  /** Per run: the calls of its agent that wait for another run. */
  readonly #waiting = new Map<ActiveRun, number>();

  /** `limit` 0: no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether all slots are in use if `expected` more sessions will need one each. */
  isFullWith(expected: number): boolean {
    return this.#limit > 0 && this.#open.size - this.#waitingRuns + expected >= this.#limit;
  }

  /** The number of runs whose executor has not ended, or not begun. */
  get executing(): number {
    return this.#open.values().reduce((sum, count) => sum + count, 0);
  }

  take(sessionId: string): void {
    add(this.#open, sessionId, 1);
  }

  release(sessionId: string): void {
    add(this.#open, sessionId, -1);
  }

  beginWait(run: ActiveRun): void {
    add(this.#waiting, run, 1);
  }

  endWait(run: ActiveRun): void {
    add(this.#waiting, run, -1);
  }

  get #waitingRuns(): number {
    return [...this.#waiting.keys()].filter((run) => run.state === "running").length;
  }
}

function add<Key>(counts: Map<Key, number>, key: Key, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
