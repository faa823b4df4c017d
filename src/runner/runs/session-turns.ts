/** A place in the order of a session's runs. `turn` resolves when every earlier run has called `over`. */
export interface Place {
  readonly turn: Promise<void>;
  readonly over: () => void;
}

/** Orders the runs of each session: one at a time, in the order of their claims. */
export class SessionTurns {
  readonly #last = new Map<string, Promise<void>>();

  join(sessionId: string): Place {
    const turn = this.#last.get(sessionId) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const next = turn.then(() => promise);
    this.#last.set(sessionId, next);
    const over = (): void => {
      if (this.#last.get(sessionId) === next) this.#last.delete(sessionId);
      resolve();
    };
    return { turn, over };
  }
}
