import { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { describeError, errorCode, UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { GroupSync } from "../../process/group-sync.ts";
import { makePrivate } from "../../trust/private-file.ts";
import { DAMAGE_REMEDY, integrityOf } from "./check-database.ts";
import { wrongRow } from "./check-rows.ts";
import { SQLITE } from "./dialects.ts";
import { APPLICATION_ID, MIGRATIONS } from "./schema.ts";
import type { Store, Value } from "./store.ts";
import { StoreHealth } from "./store-health.ts";
import { type Turn, Turns } from "./turns.ts";

// A run takes two dozen statements, the coordinator about a hundred. Bun caches only twenty, least recently used first
// out. Statements that rotate beyond the limit are compiled each time, which takes longer than executing them.
Database.MAX_QUERY_CACHE_SIZE = 100;

/**
 * What an acknowledged write survives. `disk`: a power cut. `process`: a crash of the process; a power cut may lose the
 * last seconds, but never damages the file.
 */
export type Durability = "disk" | "process";

/**
 * The database as an SQLite file.
 *
 * A committed write survives a crash of the process: it is in the WAL, which the operating system holds. SQLite does
 * not wait for the disk at each commit (`synchronous = NORMAL`). An answer that acknowledges a write waits for
 * `durable`: one flush serves all writes that came meanwhile, and the event loop goes on.
 *
 * There is one connection. `Turns` lets one transaction use it at a time, and nobody else meanwhile.
 *
 * One process at a time: the file is locked exclusively. The open polls are known in memory only, so two coordinators
 * would not see each other's polls.
 */
export class SqliteStore implements Store {
  readonly db: Database;
  readonly health: StoreHealth;
  readonly dialect = SQLITE;
  readonly #sync: GroupSync | null;
  /** A flush failed: the operating system may have dropped the pages, although it counts them as written. */
  #isFlushInDoubt = false;
  /** Checkpoints besides SQLite's own. */
  #checkpoints = 0;
  /** Whether the file was checked for damage; larger ones are checked while they are in use. */
  readonly isChecked: boolean;
  readonly #turns: Turns;
  #closing: Promise<void> | undefined;

  /** UserError: the file is another program's, a newer version's, damaged, or in use. */
  constructor(path: string, log: Log, durability: Durability = "disk") {
    this.health = new StoreHealth(path, log);
    this.#turns = new Turns(log);
    this.db = openPrivate(path);
    try {
      this.db.run("PRAGMA busy_timeout = 2000");
      this.db.run("PRAGMA locking_mode = EXCLUSIVE");
      this.db.run("PRAGMA journal_mode = WAL");
      this.db.run("PRAGMA synchronous = NORMAL");
      this.db.run(AUTOCHECKPOINT);
      // SQLite otherwise writes the undo data of a statement, with prompts, into a file in /var/tmp.
      this.db.run("PRAGMA temp_store = MEMORY");
      this.isChecked = statSync(path).size <= CHECKED_AT_START_BYTES;
      if (this.isChecked) requireIntact(this.db, path);
      this.db.transaction(() => this.#migrate(path)).immediate();
      requireOwnRows(this.db, path);
      this.#sync = durability === "disk" ? new GroupSync(`${path}-wal`) : null;
    } catch (error) {
      this.db.close();
      throw openingError(path, error);
    }
  }

  get<Row>(sql: string, ...values: readonly Value[]): Promise<Row | null> {
    return this.#turns.use(() => this.db.query<Row, Value[]>(sql).get(...values));
  }

  all<Row>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return this.#turns.use(() => this.db.query<Row, Value[]>(sql).all(...values));
  }

  run(sql: string, ...values: readonly Value[]): Promise<{ readonly changes: number }> {
    return this.#turns.use(() => this.db.query<unknown, Value[]>(sql).run(...values));
  }

  /** Resolves when everything committed so far survives a power cut. Refuses, no-room or unavailable: the disk. */
  async durable(): Promise<void> {
    if (this.#sync === null) return;
    try {
      // After a failed flush the next one would succeed without the lost pages: write them again, into the file itself.
      if (this.#isFlushInDoubt) await this.#turns.use(() => this.#checkpoint());
      this.#isFlushInDoubt = false;
      await this.#sync.synced();
      this.health.wrote();
    } catch (error) {
      this.#isFlushInDoubt = true;
      throw this.health.refusalFor(error) ?? error;
    }
  }

  async probe(): Promise<string | null> {
    if (this.health.fault === null) return null;
    try {
      await this.write(() => this.run("UPDATE counters SET value = value WHERE name = 'moves'"));
      if (this.#sync === null) this.health.wrote();
    } catch {
      // The fault is known already.
    }
    return this.health.fault;
  }

  /** Until `release`, commits stay in the WAL and the file itself does not change: another process can read it. */
  async freeze(): Promise<Frozen> {
    this.db.run("PRAGMA wal_autocheckpoint = 0");
    const release = (): void => void this.db.run(AUTOCHECKPOINT);
    try {
      await this.#turns.use(() => this.#checkpoint());
    } catch (error) {
      release();
      throw error;
    }
    const checkpoints = this.#checkpoints;
    return { isStill: () => this.#checkpoints === checkpoints, release };
  }

  write<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.isInside ? work() : this.#turns.take((turn) => this.#transact(work, turn));
  }

  async #transact<T>(work: () => Promise<T>, turn: Turn): Promise<T> {
    this.health.requireSound();
    let result: T;
    try {
      this.db.query("BEGIN IMMEDIATE").run();
      turn.isOpen = true;
      result = await turn.inside(work);
      turn.isOpen = false;
      this.db.query("COMMIT").run();
    } catch (error) {
      turn.isOpen = false;
      // After a failed COMMIT (full disk), SQLite may have rolled back already.
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw this.health.refusalFor(error) ?? error;
    }
    this.#sync?.written();
    const effects = turn.perform();
    if (effects !== undefined) await effects;
    return result;
  }

  /** Transactions come one after the other: nobody else changes anything. */
  lockTree(): Promise<void> {
    return Promise.resolve();
  }

  lockTreeOfRun(): Promise<void> {
    return Promise.resolve();
  }

  afterCommit(effect: () => void | Promise<void>): void {
    this.#turns.afterTurn(effect);
  }

  /** Waits for the transactions that have begun or wait; later calls fail. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#turns.take(async () => this.#close());
    return this.#closing;
  }

  #close(): void {
    this.#sync?.[Symbol.dispose]();
    try {
      this.db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      // The WAL stays, and the next start reads it.
      if (this.health.refusalFor(error) === null) throw error;
    }
    this.db.close();
  }

  #checkpoint(): void {
    this.#checkpoints++;
    const row = this.db.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (row?.busy !== 0) throw new Error("the WAL is being read");
  }

  #migrate(path: string): void {
    const version = this.#pragma("user_version");
    const isNew = version === 0 && this.db.query("SELECT 1 FROM sqlite_schema LIMIT 1").get() === null;
    if (!isNew && this.#pragma("application_id") !== APPLICATION_ID) {
      throw new UserError(`${path} is not a coordinator's database`, {
        hint: "Choose another state folder with --state-dir",
      });
    }
    if (version > MIGRATIONS.length) {
      throw new UserError(`${path} was written by a newer version of agent-runner`, {
        hint: "Use that version, or choose another state folder with --state-dir",
      });
    }
    for (const step of MIGRATIONS.slice(version)) this.db.run(step);
    this.db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    this.db.run(`PRAGMA user_version = ${MIGRATIONS.length}`);
  }

  #pragma(name: "user_version" | "application_id"): number {
    return this.db.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name] ?? 0;
  }
}

/** 4000 pages are 16 MiB. A checkpoint waits for the disk but writes a page once, however often it changed. */
const AUTOCHECKPOINT = "PRAGMA wal_autocheckpoint = 4000";

/** Larger files are checked while they are in use (`background-check.ts`): a check holds up the start. */
const CHECKED_AT_START_BYTES = 16 * 1024 * 1024;

export interface Frozen {
  /** False once the file changed all the same: a failed flush had to be repaired. */
  readonly isStill: () => boolean;
  readonly release: () => void;
}

/** A damaged file is refused at once: it would be served without a word until the damage is met. */
function requireIntact(db: Database, path: string): void {
  const finding = integrityOf(db);
  if (finding.kind === "damaged") throw damagedError(path, finding.what);
}

/** After the migration, which knows the columns. */
function requireOwnRows(db: Database, path: string): void {
  if (statSync(path).size > CHECKED_AT_START_BYTES) return;
  const wrong = wrongRow(db);
  if (wrong !== null) throw damagedError(path, wrong);
}

function damagedError(path: string, what: string, cause?: unknown): UserError {
  return new UserError(`The coordinator's database ${path} is damaged: ${what}`, {
    hint: DAMAGE_REMEDY,
    cause,
  });
}

/** Opens the file with mode 0600: it holds prompts and results. */
function openPrivate(path: string): Database {
  try {
    makePrivate(path);
    return new Database(path, { strict: true });
  } catch (error) {
    throw openingError(path, error);
  }
}

function openingError(path: string, cause: unknown): unknown {
  if (cause instanceof UserError) return cause;
  if (errorCode(cause) === "SQLITE_BUSY") {
    return new UserError(`${path} is in use by another coordinator`, {
      hint: "Stop that coordinator first, or choose another state folder with --state-dir",
      cause,
    });
  }
  if (/^SQLITE_(?:CORRUPT|NOTADB)/.test(errorCode(cause) ?? "")) return damagedError(path, describeError(cause), cause);
  return new UserError(`Cannot open the coordinator's database ${path}: ${describeError(cause)}`, { cause });
}
