import { Database } from "bun:sqlite";
import { chmodSync, closeSync, openSync } from "node:fs";
import { describeError, errorCode, UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { APPLICATION_ID, MIGRATIONS } from "./schema.ts";

// A run alone takes two dozen statements, all of the coordinator about a hundred. Bun keeps twenty, and drops the one that was used longest ago:
// with more than that in turn, each is compiled anew each time, which takes longer than to carry it out.
Database.MAX_QUERY_CACHE_SIZE = 100;

/**
 * The coordinator's database and its only way to write.
 *
 * An answered write survives a crash of the process: it was committed to the WAL, which the operating system then holds.
 * `synchronous = NORMAL` does not wait for the disk at each commit (a tenfold gain), so a power cut may lose the last
 * moments, but never leaves the file damaged. One process at a time: the file is locked exclusively, because who waits
 * for a run is known in memory only and two coordinators would not see each other's.
 */
export class Store {
  readonly db: Database;
  readonly #log: Log;
  #effects: (() => void)[] = [];

  /** Throws a UserError where the file is another program's, a newer version's, or in use. */
  constructor(path: string, log: Log) {
    this.#log = log;
    this.db = openPrivate(path);
    try {
      this.db.run("PRAGMA busy_timeout = 2000");
      this.db.run("PRAGMA locking_mode = EXCLUSIVE");
      this.db.run("PRAGMA journal_mode = WAL");
      this.db.run("PRAGMA synchronous = NORMAL");
      // 16 MiB. Carrying the log into the file waits for the disk; pages that were written several times are carried once.
      this.db.run("PRAGMA wal_autocheckpoint = 4000");
      // What one statement would undo (a retry is a copy of its run) goes into a file in /var/tmp otherwise, prompts and all.
      this.db.run("PRAGMA temp_store = MEMORY");
      this.write(() => this.#migrate(path));
    } catch (error) {
      this.db.close();
      throw openingError(path, error);
    }
  }

  /** Runs `work` in one transaction: all of it is kept or, if it throws, nothing. A call inside another joins that one. */
  write<T>(work: () => T): T {
    if (this.db.inTransaction) return work();
    this.db.query("BEGIN IMMEDIATE").run();
    let result: T;
    try {
      result = work();
      this.db.query("COMMIT").run();
    } catch (error) {
      this.#effects = [];
      // A failed COMMIT (full disk) may have rolled back by itself.
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw error;
    }
    const effects = this.#effects;
    this.#effects = [];
    for (const effect of effects) this.#perform(effect);
    return result;
  }

  /** What others are to see only if the transaction holds: run after its commit, dropped with it, never failing it. */
  afterCommit(effect: () => void): void {
    if (this.db.inTransaction) this.#effects.push(effect);
    else this.#perform(effect);
  }

  close(): void {
    this.db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.db.close();
  }

  #perform(effect: () => void): void {
    try {
      effect();
    } catch (error) {
      this.#log.error(`after a commit: ${describeError(error)}`);
    }
  }

  #migrate(path: string): void {
    const version = this.#pragma("user_version");
    const isNew = version === 0 && this.db.query("SELECT 1 FROM sqlite_schema LIMIT 1").get() === null;
    if (!isNew && this.#pragma("application_id") !== APPLICATION_ID) {
      throw new UserError(`${path} is not a coordinator's database`, {
        hint: "choose another file for the coordinator's data",
      });
    }
    if (version > MIGRATIONS.length) {
      throw new UserError(`${path} was written by a newer version of agent-runner`, {
        hint: "use that version, or another file",
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

/** Others on this machine cannot read it: it holds prompts and results. SQLite gives its side files the same mode. */
function openPrivate(path: string): Database {
  try {
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    return new Database(path, { strict: true });
  } catch (error) {
    throw openingError(path, error);
  }
}

function openingError(path: string, cause: unknown): unknown {
  if (cause instanceof UserError) return cause;
  if (errorCode(cause) === "SQLITE_BUSY") {
    return new UserError(`${path} is in use by another coordinator`, {
      hint: "stop that one first, or choose another file",
      cause,
    });
  }
  return new UserError(`cannot open the coordinator's database ${path}: ${describeError(cause)}`, { cause });
}

/** The present moment, or `ms` after it, as it is stored and shown. */
export function isoTime(ms = 0): string {
  return new Date(Date.now() + ms).toISOString();
}
