import { AsyncLocalStorage } from "node:async_hooks";
import type { Store } from "../../src/coordinator/store/store.ts";

/** Set for the suites that run on a `twiceStore`. */
export const TWICE = "AGENT_RUNNER_TEST_TWICE";

const ROLLBACK = new Error("rolled back to be done again");

/**
 * Does the work of each transaction twice, and rolls the first time back, as an engine does that repeats a transaction
 * after a conflict. Work that touches more than the database and `afterCommit` then shows.
 */
export function twiceStore(store: Store): Store {
  const inside = new AsyncLocalStorage<{ isOver: boolean }>();
  return {
    get: (sql, ...values) => store.get(sql, ...values),
    all: (sql, ...values) => store.all(sql, ...values),
    run: (sql, ...values) => store.run(sql, ...values),
    async write(work) {
      if (inside.getStore()?.isOver === false) return store.write(work);
      const within = <T>(body: () => Promise<T>): Promise<T> => {
        const transaction = { isOver: false };
        // Over before its effects are done: a poll that they wake begins a transaction of its own.
        const inOne = (): Promise<T> => body().finally(() => (transaction.isOver = true));
        return inside.run(transaction, () => store.write(inOne));
      };
      const first = within(async () => {
        await work();
        throw ROLLBACK;
      });
      await first.catch((error: unknown) => {
        if (error !== ROLLBACK) throw error;
      });
      return within(work);
    },
    lockTree: (sessionId) => store.lockTree(sessionId),
    lockTreeOfRun: (runId) => store.lockTreeOfRun(runId),
    afterCommit: (effect) => store.afterCommit(effect),
    durable: () => store.durable(),
    dialect: store.dialect,
    health: store.health,
    probe: () => store.probe(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
