const DAY_MS = 86_400_000;

/**
 * The timestamps of a session's events. Each is later than the one before, however fast the events follow each other
 * and whatever the clock does: the Python coordinators list events by time, and equal times in any order.
 */
export class RisingTime {
  #lastMs = 0;

  /** ISO 8601 in UTC, with milliseconds. */
  next(): string {
    this.#lastMs = Math.max(Date.now(), this.#lastMs + 1);
    return new Date(this.#lastMs).toISOString();
  }

  /** Makes the next timestamp later than that of an event of somebody else, unless that lies more than a day ahead. */
  follow(timestamp: string | null | undefined): void {
    const ms = Date.parse(timestamp ?? "");
    if (ms > this.#lastMs && ms < Date.now() + DAY_MS) this.#lastMs = ms;
  }
}
