import { AsyncLocalStorage } from "node:async_hooks";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";

type Effect = () => void | Promise<void>;

/** What runs in a turn's `inside`, and what that awaits. A timer or promise set there inherits it. */
const ambient = new AsyncLocalStorage<Turn>();

/** One use of a connection by one transaction. */
export class Turn {
  readonly #log: Log;
  #effects: Effect[] = [];
  /** While `inside` runs; afterwards what inherited the turn is outside of it. */
  isOpen = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Runs the work of the transaction; set `isOpen` around it. */
  inside<T>(work: () => Promise<T>): Promise<T> {
    return ambient.run(this, work);
  }

  add(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** Does the effects, in order. Never rejects. */
  perform(): Promise<void> | undefined {
    return this.#effects.length === 0 ? undefined : ambient.run(this, () => perform(this.#effects, this.#log));
  }
}

async function perform(effects: readonly Effect[], log: Log): Promise<void> {
  for (const effect of effects) {
    try {
      const done = effect();
      if (done !== undefined) await done;
    } catch (error) {
      log.error(`Effect after a commit failed: ${describeError(error)}`);
    }
  }
}

/** As `Promise.try`, which takes longer. */
function settled<T>(statement: () => T): Promise<T> {
  try {
    return Promise.resolve(statement());
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Lets one transaction at a time use a connection, first come, first served. Everybody else waits meanwhile, also to
 * read: on the same connection a read would see what the transaction has not committed.
 */
export class Turns {
  readonly #log: Log;
  /** Has the connection; null while nobody does. */
  #current: Turn | null = null;
  readonly #waiting: (() => void)[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** Whether the caller is in the transaction that has the connection. */
  get isInside(): boolean {
    return this.#current !== null && this.#current.isOpen && ambient.getStore() === this.#current;
  }

  /** A statement: at once inside the transaction, or while there is none. */
  use<T>(statement: () => T): Promise<T> {
    // The effects of a transaction may read, too: its turn ends after them.
    if (this.#current === null || ambient.getStore() === this.#current) return settled(statement);
    return new Promise((resolve) => this.#waiting.push(() => resolve(settled(statement))));
  }

  /** A turn of its own, when its turn comes. It ends when `transact` does. */
  async take<T>(transact: (turn: Turn) => Promise<T>): Promise<T> {
    const turn = new Turn(this.#log);
    if (this.#current === null) this.#current = turn;
    else await this.#handedTo(turn);
    try {
      return await transact(turn);
    } finally {
      this.#current = null;
      this.#next();
    }
  }

  /** Runs `effect` after the transaction of the caller, or at once outside of one. */
  afterTurn(effect: Effect): void {
    if (this.isInside) this.#current?.add(effect);
    else void perform([effect], this.#log);
  }

  /** Who waited goes on in its own async context, not in that of the turn before. */
  #handedTo(turn: Turn): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#current = turn;
        resolve();
      });
    });
  }

  #next(): void {
    while (this.#current === null) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
    }
  }
}
