import type { Dialect } from "./dialects.ts";
import type { StoreHealth } from "./store-health.ts";

export type Value = string | number | null;

/**
 * A row has changed since the transaction read it. A transaction that throws it is done again, and sees the change.
 * Only where transactions run beside each other.
 */
export class Outdated extends Error {
  override readonly name = "Outdated";
}

/** Statements, which belong to the surrounding transaction if there is one. */
export interface Statements {
  /** The first row; null if there is none. */
  get<Row>(sql: string, ...values: readonly Value[]): Promise<Row | null>;
  all<Row>(sql: string, ...values: readonly Value[]): Promise<Row[]>;
  run(sql: string, ...values: readonly Value[]): Promise<{ readonly changes: number }>;
}

/**
 * The coordinator's database. Every change of its state is one transaction (`write`). The transaction is ambient: what
 * `work` calls and awaits belongs to it. A statement outside never sees what a transaction has not committed.
 */
export interface Store extends Statements, AsyncDisposable {
  /**
   * Runs `work` in one transaction, which rolls back if `work` throws. A nested call joins the outer transaction. The
   * work may be done again: it touches the database and `afterCommit` only, and leaves nothing running.
   */
  write<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Until the transaction ends, nobody else changes this session or another of its tree. Before the transaction reads
   * what it decides by: where transactions run beside each other, two that end the last two children of a session
   * otherwise do not see each other. Several trees are locked in any order: the transaction may be done again for it.
   */
  lockTree(sessionId: string): Promise<void>;
  /** As `lockTree`, for the session of a run; nothing for an unknown run. */
  lockTreeOfRun(runId: string): Promise<void>;
  /**
   * Runs `effect` after the commit, or at once without a transaction. A rollback drops it; errors are only logged. The
   * effects of all transactions are done in the order of the commits. A returned promise holds up the next transaction:
   * it may read, but must not wait for another transaction.
   */
  afterCommit(effect: () => void | Promise<void>): void;
  /** Resolves when everything committed so far survives a power cut. Refuses, no-room or unavailable: the disk. */
  durable(): Promise<void>;
  readonly dialect: Dialect;
  /** Whether the database can be used. */
  readonly health: StoreHealth;
  /** Whether the database can be written now: for a probe, while a fault is known. */
  probe(): Promise<string | null>;
}
