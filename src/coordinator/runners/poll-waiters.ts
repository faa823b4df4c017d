import type { Demands } from "../../protocol/run.ts";
import { type Offer, satisfies } from "./demands.ts";

/** One open poll. */
export interface Waiter {
  readonly runnerId: string;
  /** The demands that the runner can satisfy; null if the poll asks for stops only. */
  readonly offer: Offer | null;
  /** Answers the poll if there is something to deliver now; resolves to whether it did. Never rejects. */
  readonly tryAnswer: () => Promise<boolean>;
  /** Answers the poll with nothing. */
  readonly end: () => void;
}

/** The open polls, oldest first, at most one per runner. */
export class PollWaiters {
  readonly #waiters = new Map<string, Waiter>();

  /** Ends the runner's earlier poll. A runner has one poll at a time, so it has closed that connection. */
  add(waiter: Waiter): void {
    this.supersede(waiter.runnerId);
    this.#waiters.set(waiter.runnerId, waiter);
  }

  remove(waiter: Waiter): void {
    if (this.#waiters.get(waiter.runnerId) === waiter) this.#waiters.delete(waiter.runnerId);
  }

  supersede(runnerId: string): void {
    this.#waiters.get(runnerId)?.end();
  }

  /** Call when something changes for this runner: a stop, its registration. */
  wake(runnerId: string): void {
    void this.#waiters.get(runnerId)?.tryAnswer();
  }

  /** Offers a run with these demands: the longest waiting runner that satisfies them claims it. */
  async offer(demands: Demands | null): Promise<void> {
    let hasOneLeft: boolean;
    do {
      hasOneLeft = false;
      // Also those that begin meanwhile.
      for (const waiter of this.#waiters.values()) {
        if (waiter.offer === null || !satisfies(waiter.offer, demands)) continue;
        if (await waiter.tryAnswer()) return;
        // A poll that was passed over in its favour has to look again.
        if (this.#waiters.get(waiter.runnerId) !== waiter) hasOneLeft = true;
      }
    } while (hasOneLeft);
  }

  /** Call when every runner may find a run: each open poll looks once. */
  wakeAll(): void {
    for (const waiter of this.#waiters.values()) void waiter.tryAnswer();
  }

  /** Whether another runner waits for a run with these demands. */
  isOtherWaiting(runnerId: string, demands: Demands | null): boolean {
    return [...this.#waiters.values()].some(
      (waiter) => waiter.runnerId !== runnerId && waiter.offer !== null && satisfies(waiter.offer, demands),
    );
  }

  /** Whether the runner has an open poll. */
  has(runnerId: string): boolean {
    return this.#waiters.has(runnerId);
  }

  endAll(): void {
    for (const waiter of this.#waiters.values()) waiter.end();
  }
}
