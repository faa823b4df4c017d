import { AsyncLocalStorage } from "node:async_hooks";
import { describeError } from "../../../errors.ts";
import type { Log } from "../../../log.ts";
import { POSTGRES } from "../dialects.ts";
import { Refusal } from "../refusal.ts";
import type { Store, Value } from "../store.ts";
import { StoreHealth } from "../store-health.ts";
import { CommitMarks, type Mark } from "./commit-marks.ts";
import { type DatabaseUrl, describeDatabase } from "./database-url.ts";
import { Pool, sessionSettings } from "./pool.ts";
import { errorKindOf, faultOf } from "./postgres-errors.ts";
import { migrate } from "./postgres-migrations.ts";
import { Repetition } from "./repetition.ts";
import { arrange, type Statement, statementOf } from "./statement.ts";
import { Transaction, type TransactionParts } from "./transaction.ts";
import { HeldTrees, LockOrder, TreeLocks } from "./tree-locks.ts";
import { parameterOf, type Result, rowsOf } from "./values.ts";

type Effect = () => void | Promise<void>;

/** A commit without an answer is looked up for so long after the time for repetitions. */
const DOUBT_MS = 5_000;

/** A transaction of the caller's context, with the locks of its present attempt. */
interface Ambient {
  readonly transaction: Transaction;
  readonly held: HeldTrees;
}

/**
 * The coordinator's database on a PostgreSQL server, which several coordinators may share.
 *
 * A transaction that meets another one, or loses its connection, is executed again, for five seconds. Whether a commit
 * without an answer took place is looked up (`commit-marks.ts`), never guessed.
 */
export class PostgresStore implements Store {
  readonly health: StoreHealth;
  readonly dialect = POSTGRES;
  readonly #log: Log;
  readonly #pool: Pool;
  readonly #marks: CommitMarks;
  readonly #locks = new TreeLocks();
  readonly #ambient = new AsyncLocalStorage<Ambient>();
  readonly #parts: TransactionParts;
  #performed: Promise<void> = Promise.resolve();
  /** A pooler changes the connection after each transaction, so every statement needs one, for its settings. */
  readonly #isPooled: boolean;

  private constructor(url: DatabaseUrl, log: Log) {
    this.#log = log;
    this.health = new StoreHealth(describeDatabase(url), log, faultOf);
    this.#pool = new Pool(url);
    this.#marks = new CommitMarks(this.#pool);
    this.#isPooled = !url.prepare;
    this.#parts = {
      pool: this.#pool,
      takeWriter: this.#marks.take,
      settings: this.#isPooled ? sessionSettings(url) : {},
    };
  }

  /** Connects, and brings the tables up to date. UserError: the server or its database cannot be used. */
  static async open(url: DatabaseUrl, log: Log): Promise<PostgresStore> {
    const store = new PostgresStore(url, log);
    try {
      await migrate({ ...store.#parts, name: describeDatabase(url), schema: url.schema, log });
      return store;
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Connections in use, callers that wait for one, and the most that may be open. */
  get connections(): Pool["figures"] {
    return this.#pool.figures;
  }

  async get<Row>(sql: string, ...values: readonly Value[]): Promise<Row | null> {
    return rowsOf<Row>(await this.#query(sql, values))[0] ?? null;
  }

  async all<Row>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return rowsOf<Row>(await this.#query(sql, values));
  }

  async run(sql: string, ...values: readonly Value[]): Promise<{ readonly changes: number }> {
    return { changes: (await this.#query(sql, values)).affectedRows };
  }

  /**
   * Executes `work` in one transaction, which is rolled back if `work` throws. A call inside another joins it. `work`
   * may be executed more than once. Refuses, unavailable: the database is away, or does not say what it did.
   */
  async write<T>(work: () => Promise<T>): Promise<T> {
    if (this.#current() !== null) return await work();
    const repetition = new Repetition(this.#pool);
    let trees: readonly string[] = [];
    for (;;) {
      using held = new HeldTrees(trees);
      const transaction = new Transaction(this.#parts);
      try {
        const result = await this.#attempt({ transaction, held }, work);
        const mark = await transaction.commit();
        if (mark !== null && !(await this.#isCommitted(mark, repetition))) throw transaction.failure;
        this.health.wrote();
        await this.#performAll(transaction.effects);
        return result;
      } catch (error) {
        if (error instanceof LockOrder) trees = error.trees;
        else await this.#mayRepeat(error, transaction.failure ?? error, repetition);
      }
    }
  }

  /** Until the transaction ends, nobody else changes this session or another of its tree. */
  async lockTree(sessionId: string): Promise<void> {
    const ambient = this.#current();
    if (ambient === null) throw new Error("a tree is locked inside a transaction only");
    await this.#locks.lock(sessionId, ambient.transaction, ambient.held, { query: this.#outside });
  }

  async lockTreeOfRun(runId: string): Promise<void> {
    const ambient = this.#current();
    if (ambient === null) throw new Error("a tree is locked inside a transaction only");
    await this.#locks.lockOfRun(runId, ambient.transaction, ambient.held, { query: this.#outside });
  }

  /** Performs `effect` after the commit, or at once without a transaction. A rollback drops it; errors are logged. */
  afterCommit(effect: Effect): void {
    const ambient = this.#current();
    if (ambient === null) void this.#perform([effect]);
    else ambient.transaction.effects.push(effect);
  }

  /** The server has written what it acknowledged. */
  async durable(): Promise<void> {}

  /** Whether the database can be used now: the fault, for people, or null. */
  async probe(): Promise<string | null> {
    try {
      await this.#outside(statementOf("SELECT 1"), []);
    } catch {
      // The fault is known.
    }
    return this.health.fault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #current(): Ambient | null {
    const ambient = this.#ambient.getStore();
    return ambient === undefined || ambient.transaction.isOver ? null : ambient;
  }

  async #query(sql: string, values: readonly Value[]): Promise<Result> {
    const statement = statementOf(sql);
    const parameters = arrange(statement, values).map(parameterOf);
    const ambient = this.#current();
    if (ambient !== null) return await ambient.transaction.query(statement, parameters);
    if (this.#isPooled) return await this.write(async () => await this.#query(sql, values));
    return await this.#outside(statement, parameters);
  }

  /** A statement without a transaction. One that changes something is repeated only if it was not carried out. */
  readonly #outside = async (statement: Statement, parameters: readonly (string | null)[]): Promise<Result> => {
    const repetition = new Repetition(this.#pool);
    for (;;) {
      let isSent = false;
      try {
        const connection = await this.#pool.take();
        try {
          isSent = true;
          const result = await connection.query(statement.text, parameters);
          this.health.wrote();
          return result;
        } finally {
          await connection.release();
        }
      } catch (error) {
        if (isSent && !statement.isRead && errorKindOf(error) === "connection") throw this.#refusalFor(error) ?? error;
        await this.#mayRepeat(error, error, repetition);
      }
    }
  };

  async #attempt<T>(ambient: Ambient, work: () => Promise<T>): Promise<T> {
    const { transaction } = ambient;
    try {
      const result = await this.#ambient.run(ambient, work);
      if (transaction.failure !== null) throw transaction.failure;
      return result;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  /** Pauses before the next attempt, or throws what the caller gets. `cause`: the error of the database, if any. */
  async #mayRepeat(thrown: unknown, cause: unknown, repetition: Repetition): Promise<void> {
    if (await repetition.pause(cause)) return;
    // After the first error the server only says that the transaction is aborted.
    throw this.#refusalFor(cause) ?? (errorKindOf(thrown) === null ? thrown : cause);
  }

  #refusalFor(error: unknown): Refusal | null {
    if (this.#pool.isClosed && errorKindOf(error) === "connection") {
      return new Refusal("unavailable", "The coordinator is shutting down");
    }
    return this.health.refusalFor(error);
  }

  async #isCommitted(mark: Mark, repetition: Repetition): Promise<boolean> {
    this.#log.warn("The connection to the database was lost during a commit: looking up whether it took place");
    const answer = await this.#marks.isCommitted(mark, repetition.endsAt + DOUBT_MS);
    if (answer === null) throw this.health.found("away", "whether a commit took place is not known");
    return answer;
  }

  /** One transaction's after the other's, in the order in which the commits were answered. */
  async #performAll(effects: readonly Effect[]): Promise<void> {
    if (effects.length === 0) return;
    this.#performed = this.#performed.then(() => this.#perform(effects));
    await this.#performed;
  }

  async #perform(effects: readonly Effect[]): Promise<void> {
    for (const effect of effects) {
      try {
        await effect();
      } catch (error) {
        this.#log.error(`Effect after a commit failed: ${describeError(error)}`);
      }
    }
  }
}
