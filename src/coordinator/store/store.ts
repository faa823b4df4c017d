import type { StoreHealth } from "./store-health.ts";

export type Value = string | number | null;

/** The coordinator's database. Every change of its state is one transaction (`write`). */
export interface Store {
  /** The first row; null if there is none. */
  get<Row>(sql: string, ...values: readonly Value[]): Row | null;
  all<Row>(sql: string, ...values: readonly Value[]): Row[];
  run(sql: string, ...values: readonly Value[]): { readonly changes: number };
  /** Runs `work` in one transaction, which rolls back if `work` throws. A nested call joins the outer transaction. */
  write<T>(work: () => T): T;
  /** Runs `effect` after the commit, or at once without a transaction. A rollback drops it; errors are only logged. */
  afterCommit(effect: () => void): void;
  /** Resolves when everything committed so far survives a power cut. Refuses, no-room or unavailable: the disk. */
  durable(): Promise<void>;
  /** Whether the database can be used. */
  readonly health: StoreHealth;
  /** Whether the database can be written now: for a probe, while a fault is known. */
  probe(): string | null;
  /** Refuses, unavailable: the data may be wrong. */
  requireSound(): void;
  close(): void;
}
