import { errorKindOf, isRolledBack } from "./postgres-errors.ts";
import type { Connection, Pool } from "./pool.ts";
import type { Statement } from "./statement.ts";
import type { Result } from "./values.ts";
import type { Mark, Writer } from "./commit-marks.ts";

export interface TransactionParts {
  readonly pool: Pool;
  readonly takeWriter: () => Writer;
  /** Set at the start of each transaction, because a pooler sets them at no other time; empty without a pooler. */
  readonly settings: Readonly<Record<string, string>>;
}

/** READ COMMITTED whatever the role's default is: the tree locks do the rest. */
const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/** One attempt at a transaction. It takes a connection with its first statement. */
export class Transaction {
  readonly effects: (() => void | Promise<void>)[] = [];
  readonly #parts: TransactionParts;
  #connection: Promise<Connection> | null = null;
  #writer: Writer | null = null;
  #failure: unknown = null;
  #isOver = false;

  constructor(parts: TransactionParts) {
    this.#parts = parts;
  }

  /** The first error of a statement: PostgreSQL takes none after it, even if the work has caught it. */
  get failure(): unknown {
    return this.#failure;
  }

  /** A timer or promise that was started inside still has it as its context. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get hasBegun(): boolean {
    return this.#connection !== null;
  }

  async query(statement: Pick<Statement, "text" | "isRead">, parameters: readonly (string | null)[]): Promise<Result> {
    const connection = await (this.#connection ??= this.#begin());
    if (this.#isOver) throw new Error("the transaction has ended");
    // Goes out together with the statement.
    if (!statement.isRead && this.#writer === null) this.#mark(connection);
    return this.#note(connection.query(statement.text, parameters));
  }

  /** Resolves with the mark if nobody knows whether it was committed. Throws if it was rolled back. */
  async commit(): Promise<Mark | null> {
    this.#isOver = true;
    if (this.#connection === null) return null;
    const connection = await this.#connection;
    try {
      const { command } = await connection.query("COMMIT", []);
      if (command !== "COMMIT") throw new Error("the transaction was rolled back at its end");
      this.#writer?.done();
      return null;
    } catch (error) {
      this.#failure ??= error;
      // Without a change there is nothing to lose.
      if (errorKindOf(error) === "connection" && this.#writer === null) return null;
      if (errorKindOf(error) === null || isRolledBack(error)) {
        this.#writer?.done();
        throw error;
      }
      return this.#writer?.mark ?? null;
    } finally {
      await connection.release();
    }
  }

  async rollback(): Promise<void> {
    this.#isOver = true;
    const connection = await this.#connection?.catch(() => null);
    // The server rolls back what a lost connection leaves.
    await connection?.query("ROLLBACK", []).catch(() => {});
    await connection?.release();
    // The server may still hold the row for a connection that it does not know to be lost.
    if (errorKindOf(this.#failure) !== "connection") this.#writer?.done();
  }

  async #begin(): Promise<Connection> {
    const connection = await this.#note(this.#parts.pool.take());
    this.#send(connection, BEGIN);
    for (const [name, value] of Object.entries(this.#parts.settings)) {
      this.#send(connection, "SELECT set_config($1, $2, true)", [name, value]);
    }
    return connection;
  }

  #mark(connection: Connection): void {
    this.#writer = this.#parts.takeWriter();
    this.#send(connection, this.#writer.statement, this.#writer.parameters);
  }

  /** Nobody waits for it: the next statement fails too. */
  #send(connection: Connection, text: string, parameters: readonly string[] = []): void {
    this.#note(connection.query(text, parameters)).catch(() => {});
  }

  async #note<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }
}
