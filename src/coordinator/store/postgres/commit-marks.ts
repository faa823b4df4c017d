import { randomUUID } from "node:crypto";
import { delay } from "../../../async/delay.ts";
import { errorKindOf } from "./postgres-errors.ts";
import type { Pool } from "./pool.ts";

/**
 * Answers whether a transaction was committed whose COMMIT got no answer. Each transaction that changes something also
 * writes a number into a row that no other transaction uses meanwhile. The row shows afterwards which one was the last.
 *
 * `pg_xact_status` is no answer: after a crash, or on a standby that takes over, the number of a lost transaction is
 * given to another one. The status is then that one's.
 */

/** A transaction that may have been committed. */
export interface Mark {
  readonly writer: string;
  readonly number: number;
}

/** The row of a transaction, from its first change to its end. */
export interface Writer {
  readonly mark: Mark;
  readonly statement: string;
  readonly parameters: readonly string[];
  /** The outcome is known: another transaction may use the row. */
  done(): void;
}

const WRITE = `INSERT INTO commit_marks AS m (writer, number) VALUES ($1, $2)
  ON CONFLICT (writer) DO UPDATE SET number = excluded.number, marked_at = now()`;

/** Waits for the transaction if the server still executes it. A row that it has to create tells: not committed. */
const READ = `INSERT INTO commit_marks AS m (writer, number) VALUES ($1, -1)
  ON CONFLICT (writer) DO UPDATE SET marked_at = now() RETURNING number::text AS number`;

/** How long one question waits for a transaction that the server still executes. */
const LOCK_WAIT_MS = 1_000;
const PAUSE_MS = 100;

export class CommitMarks {
  readonly #pool: Pool;
  readonly #free: string[] = [];
  #numbers = 0;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  readonly take = (): Writer => {
    const writer = this.#free.pop() ?? randomUUID();
    const mark = { writer, number: ++this.#numbers };
    return {
      mark,
      statement: WRITE,
      parameters: [writer, String(mark.number)],
      done: () => void this.#free.push(writer),
    };
  };

  /** Null: the database did not say until `deadline` (on the clock of `performance.now()`). */
  async isCommitted(mark: Mark, deadline: number): Promise<boolean | null> {
    for (;;) {
      const number = await this.#read(mark.writer);
      if (number !== null) {
        this.#free.push(mark.writer);
        return number === mark.number;
      }
      if (performance.now() > deadline || this.#pool.isClosed) return null;
      await delay(PAUSE_MS);
    }
  }

  /** The number in the row; null if the database cannot tell now. */
  async #read(writer: string): Promise<number | null> {
    let connection;
    try {
      connection = await this.#pool.take();
      void connection.query("BEGIN", []).catch(() => {});
      void connection.query("SELECT set_config('lock_timeout', $1, true)", [String(LOCK_WAIT_MS)]).catch(() => {});
      const [row] = await connection.query(READ, [writer]);
      // Only a row that a crash cannot take away is an answer.
      await connection.query("COMMIT", []);
      return Number(row?.["number"]);
    } catch (error) {
      if (errorKindOf(error) === "statement") throw error;
      await connection?.query("ROLLBACK", []).catch(() => {});
      return null;
    } finally {
      await connection?.release();
    }
  }
}
