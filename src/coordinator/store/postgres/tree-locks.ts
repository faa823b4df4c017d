import type { Statement } from "./statement.ts";
import type { Transaction } from "./transaction.ts";
import { TreeQueues } from "./tree-queues.ts";

/**
 * Locks whole trees of sessions. Under READ COMMITTED two transactions that end the last two children of a parent do
 * not see each other's change, and nobody resumes the parent. With the tree locked the second one waits.
 *
 * A transaction takes its locks in one order, so that two of them never wait for each other. One that finds out too
 * late that it needs a lock from before starts again, with all of them from its beginning.
 */

/** Advisory locks are numbers that a whole database shares: the schema is in this one. */
const NUMBER = "hashtextextended(current_schema()::text || ' ' || $1, 0)";
const LOCK: Statement = { text: `SELECT pg_advisory_xact_lock(${NUMBER})`, places: [0], isRead: true };
const TRY_LOCK: Statement = { text: `SELECT pg_try_advisory_xact_lock(${NUMBER}) AS got`, places: [0], isRead: true };
const TREE: Statement = {
  text: "SELECT tree_id::text AS tree FROM sessions WHERE session_id = $1",
  places: [0],
  isRead: true,
};

const SESSION: Statement = { text: "SELECT session_id FROM runs WHERE run_id = $1", places: [0], isRead: true };

type Asked = Pick<Transaction, "query">;

/** Sessions whose tree is remembered. It can only be wrong about a session that was given another parent. */
const LONGEST_MEMORY = 10_000;

/** The transaction starts again and locks `trees` first. */
export class LockOrder extends Error {
  override readonly name = "LockOrder";

  constructor(readonly trees: readonly string[]) {
    super("the transaction starts again, with its locks in order");
  }
}

/** What the attempts of one transaction hold, and what the next attempt begins with. */
export class HeldTrees implements Disposable {
  readonly #first: readonly string[];
  readonly trees = new Set<string>();
  /** Those that were found in a locked tree: nobody else moves them. */
  readonly sessions = new Set<string>();
  #turn: Disposable | null = null;

  constructor(first: readonly string[] = []) {
    this.#first = first;
  }

  /** The trees that an earlier attempt found out about. */
  get missing(): readonly string[] {
    return this.#first.filter((tree) => !this.trees.has(tree)).toSorted();
  }

  isInOrder(tree: string): boolean {
    return [...this.trees].every((held) => held < tree);
  }

  keep(turn: Disposable): void {
    this.#turn = turn;
  }

  [Symbol.dispose](): void {
    this.#turn?.[Symbol.dispose]();
  }
}

export class TreeLocks {
  readonly #queues = new TreeQueues();
  readonly #memory = new Map<string, string>();
  /** The session of a run, which never changes. */
  readonly #sessions = new Map<string, string>();

  /** Until the transaction ends, no other one changes this session or another of its tree. */
  async lock(sessionId: string, transaction: Transaction, held: HeldTrees, outside: Asked): Promise<void> {
    if (held.sessions.has(sessionId)) return;
    // The queue is in front of the transaction's connection, so the tree has to be known before it has one.
    const asked = transaction.hasBegun ? transaction : outside;
    const known = this.#memory.get(sessionId) ?? (await this.#treeOf(sessionId, asked));
    let trees = [...new Set([...held.missing, known])].toSorted();
    for (;;) {
      const [first = known, ...others] = trees;
      if (!transaction.hasBegun) held.keep(await this.#queues.enter(first));
      for (const tree of trees.slice(0, -1)) await this.#take(tree, transaction, held);
      // The last lock and the question go out together. The answer is from after the lock was given.
      const last = this.#take(others.at(-1) ?? first, transaction, held);
      const [found] = await Promise.all([this.#treeOf(sessionId, transaction), last]);
      if (held.trees.has(found)) {
        held.sessions.add(sessionId);
        return;
      }
      trees = [found];
    }
  }

  async lockOfRun(runId: string, transaction: Transaction, held: HeldTrees, outside: Asked): Promise<void> {
    let session = this.#sessions.get(runId);
    if (session === undefined) {
      const [row] = await (transaction.hasBegun ? transaction : outside).query(SESSION, [runId]);
      if (row === undefined) return;
      session = String(row["session_id"]);
      if (this.#sessions.size >= LONGEST_MEMORY) this.#sessions.clear();
      this.#sessions.set(runId, session);
    }
    await this.lock(session, transaction, held, outside);
  }

  async #take(tree: string, transaction: Transaction, held: HeldTrees): Promise<void> {
    if (held.trees.has(tree)) return;
    if (held.isInOrder(tree)) {
      await transaction.query(LOCK, [tree]);
    } else {
      const [row] = await transaction.query(TRY_LOCK, [tree]);
      if (row?.["got"] !== true) throw new LockOrder([...held.trees, tree]);
    }
    held.trees.add(tree);
  }

  async #treeOf(sessionId: string, asked: Asked): Promise<string> {
    const [row] = await asked.query(TREE, [sessionId]);
    if (row === undefined) return `session ${sessionId}`;
    const tree = `tree ${String(row["tree"])}`;
    if (this.#memory.size >= LONGEST_MEMORY) this.#memory.clear();
    this.#memory.set(sessionId, tree);
    return tree;
  }
}
