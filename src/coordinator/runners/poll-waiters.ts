import type { Demands } from "../../protocol/run.ts";
import { type Offer, satisfies } from "./demands.ts";

/** One open poll. */
export interface Waiter {
  readonly runnerId: string;
  /** What its runner may take; null if it asked for stops only. */
  readonly offer: Offer | null;
  /** Looks for an answer now; true if the poll was answered. */
  readonly look: () => boolean;
  /** Answers the poll with nothing. */
  readonly end: () => void;
}

/** The open polls, those that have waited longest first; one a runner. */
export class PollWaiters {
  readonly #waiters = new Map<string, Waiter>();

  add(waiter: Waiter): void {
    this.#waiters.set(waiter.runnerId, waiter);
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter.runnerId);
  }

  /** A runner polls once at a time: its earlier poll is from a connection that it has given up. */
  supersede(runnerId: string): void {
    this.#waiters.get(runnerId)?.end();
  }

  /** Something for this runner has changed (a stop, its registration). */
  wake(runnerId: string): void {
    this.#waiters.get(runnerId)?.look();
  }

  /** A run with these demands may be claimed: the longest waiting runner that satisfies them takes it. */
  offer(demands: Demands | null): void {
    for (const waiter of this.#waiters.values()) {
      if (waiter.offer && satisfies(waiter.offer, demands) && waiter.look()) return;
    }
  }

  endAll(): void {
    for (const waiter of this.#waiters.values()) waiter.end();
  }
}
