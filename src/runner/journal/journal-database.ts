import { Database } from "bun:sqlite";
import { existsSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { describeError, errorCode, UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { privateFolder } from "../../process/private-folder.ts";
import { makePrivate } from "../../trust/private-file.ts";

const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, phase TEXT NOT NULL, assigned TEXT NOT NULL, token TEXT NOT NULL,
    identity TEXT, cancel TEXT, activity TEXT, outcome TEXT, changed_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX runs_open ON runs (changed_ms) WHERE phase <> 'done';
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};`;

/**
 * Opens and checks the journal's file. Renames a damaged file, or one of another version, and starts an empty journal.
 * Throws a UserError if the file cannot be opened for another reason, such as a full disk: its records are still good.
 */
export function openJournalDatabase(path: string, log: Log): Database {
  try {
    privateFolder(dirname(path));
    return openChecked(path);
  } catch (error) {
    if (!isDamage(error))
      throw new UserError(`The journal ${path} cannot be opened: ${describeError(error)}`, { cause: error });
    const aside = `${path}.set-aside-${Date.now()}`;
    for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    log.error(
      `The journal ${path} cannot be used (${describeError(error)}): ` +
        `set aside as ${aside}, and rebuilt from the run folders`,
    );
    return openChecked(path);
  }
}

class JournalDamage extends Error {}

function isDamage(error: unknown): boolean {
  return error instanceof JournalDamage || /^SQLITE_(?:CORRUPT|NOTADB|ERROR)/.test(errorCode(error) ?? "");
}

function openChecked(path: string): Database {
  // It holds the tokens of the runs.
  makePrivate(path);
  const db = new Database(path);
  try {
    db.run("PRAGMA busy_timeout = 2000");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = NORMAL");
    const version = db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version;
    if (version === 0) db.run(SCHEMA);
    else if (version !== SCHEMA_VERSION)
      throw new JournalDamage(`its version is ${version}, this program writes ${SCHEMA_VERSION}`);
    const check = db.query<{ quick_check: string }, []>("PRAGMA quick_check").get()?.quick_check;
    if (check !== "ok") throw new JournalDamage(`it is damaged: ${check}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
