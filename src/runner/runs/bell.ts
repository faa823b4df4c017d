/**
 * Rings when something changes that decides whether the runner takes runs, or whether it is finished: a run's state, a
 * free slot, room on the machine. Waiters check their own condition after each ring.
 */
export class Bell {
  readonly #waiters = new Set<() => void>();

  /** Resolves at the next ring. */
  rung(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  ring(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }
}
