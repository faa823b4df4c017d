/**
 * Rings when a run's state, a slot or the room on the machine changes. These decide whether the runner takes runs and
 * when it may leave. Waiters check their own condition after each ring.
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
