import { Database } from "bun:sqlite";
import { setPriority } from "node:os";
import { pathToFileURL } from "node:url";
import { describeError, errorCode } from "../../errors.ts";

/** What a check of a database file found. */
export type Finding =
  | { readonly kind: "sound" }
  | { readonly kind: "damaged"; readonly what: string }
  /** Another process holds the file, or it cannot be read. */
  | { readonly kind: "unchecked"; readonly busy: boolean; readonly why: string };

export const DAMAGE_REMEDY =
  "Restore a backup (docs/operating.md, State and backup), or move the file away to begin with an empty one";

/**
 * Reads every page of the file: damage is otherwise served without a word until a request meets it. `frozen`: the
 * process that holds the file writes to nothing but the WAL meanwhile. The file is then read without locks and without
 * its WAL.
 */
export function checkDatabase(path: string, { frozen = false } = {}): Finding {
  try {
    using db = frozen
      ? new Database(`${pathToFileURL(path).href}?immutable=1`, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
      : new Database(path, { readonly: true });
    return integrityOf(db);
  } catch (error) {
    const code = errorCode(error) ?? "";
    const what = describeError(error);
    if (/^SQLITE_(?:CORRUPT|NOTADB)/.test(code)) return { kind: "damaged", what };
    return { kind: "unchecked", busy: code.startsWith("SQLITE_BUSY"), why: what };
  }
}

const SQLITE_OPEN_READONLY = 0x01;
const SQLITE_OPEN_URI = 0x40;

/** Stops at the first fault. Throws where SQLite cannot even read the schema. */
export function integrityOf(db: Database): Finding {
  const found = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check(1)").get()?.integrity_check;
  return found === "ok" ? { kind: "sound" } : { kind: "damaged", what: found ?? "no answer" };
}

/** The finding about a frozen file, as JSON, for the hidden command. Yields the processor to the coordinator. */
export function checkInThisProcess(path: string): string {
  try {
    setPriority(10);
  } catch {
    // The check only takes more of the machine.
  }
  return JSON.stringify(checkDatabase(path, { frozen: true }));
}
