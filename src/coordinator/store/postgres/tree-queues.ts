/**
 * One queue for each tree, in front of the connections: a hundred children of a tree that end at once hold one
 * connection and not all of them. The lock that counts is the database's.
 */
export class TreeQueues {
  readonly #queues = new Map<string, (() => void)[]>();

  /** Resolves when it is the caller's turn; disposing the result lets the next one in. */
  async enter(tree: string): Promise<Disposable> {
    const queue = this.#queues.get(tree);
    if (queue === undefined) this.#queues.set(tree, []);
    else await new Promise<void>((resolve) => queue.push(resolve));
    return { [Symbol.dispose]: () => this.#leave(tree) };
  }

  #leave(tree: string): void {
    const next = this.#queues.get(tree)?.shift();
    if (next === undefined) this.#queues.delete(tree);
    else next();
  }
}
