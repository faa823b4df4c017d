import { describeMs } from "../../async/describe-ms.ts";
import { describeError, errorCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { Refusal } from "./refusal.ts";

/** Why the database cannot be used. */
export type FaultKind = "full" | "read-only" | "damaged" | "failing" | "away" | "refused" | "slow" | "pooled";

interface Fault {
  readonly kind: FaultKind;
  /** For clients and the log: what is wrong and what to do. */
  readonly message: string;
  readonly sinceMs: number;
}

const REMEDIES: Readonly<Record<FaultKind, string>> = {
  full: "no room on the disk; writing goes on by itself when there is room",
  "read-only": "it is read-only; make the file and its folder writable",
  damaged: "it is damaged; stop the coordinator and restore a backup (docs/operating.md, State and backup)",
  failing: "the disk reports an error; writing goes on by itself when it works again",
  away: "its server does not answer; work goes on by itself when it does",
  refused: "its server refuses the user, its rights, or the encryption; mend the URL or the server",
  slow: "a statement took too long; look for locks and missing statistics on the server",
  pooled: "a pooler shares its connections; add prepare=false to the database's URL",
};

/**
 * Whether the database can be used. A fault is logged once, and its end once; requests meanwhile are refused in words.
 * Without this each request would log a stack and answer 500.
 */
export class StoreHealth {
  readonly #path: string;
  readonly #log: Log;
  readonly #kindOf: (error: unknown) => FaultKind | null;
  #fault: Fault | null = null;

  /** `path`: the file or the URL without its password. `kindOf`: null for an error that is no fault of the database. */
  constructor(path: string, log: Log, kindOf: (error: unknown) => FaultKind | null = sqliteFaultOf) {
    this.#path = path;
    this.#log = log;
    this.#kindOf = kindOf;
  }

  /** The present fault, for people; null if there is none. */
  get fault(): string | null {
    return this.#fault?.message ?? null;
  }

  /** Refuses, unavailable: the file is damaged. Its data may be wrong, and more writes would make it worse. */
  requireSound(): void {
    if (this.#fault?.kind === "damaged") throw new Refusal("unavailable", this.#fault.message);
  }

  /** A check has found damage. */
  foundDamage(what: string): void {
    this.#enter("damaged", what);
  }

  /** Something is wrong that no error of the database shows. Returns the refusal. */
  found(kind: FaultKind, cause: string): Refusal {
    return new Refusal(kind === "full" ? "no-room" : "unavailable", this.#enter(kind, cause));
  }

  /** The refusal for an error of the database or its disk; null for any other error. */
  refusalFor(error: unknown): Refusal | null {
    const kind = this.#kindOf(error);
    if (kind === null) return null;
    return this.found(kind, describeError(error));
  }

  /** Logs a new fault, and returns its text for clients. Damage outranks every later fault. */
  #enter(kind: FaultKind, cause: string): string {
    const message = `The coordinator's database ${this.#path} cannot be used: ${REMEDIES[kind]}`;
    if (this.#fault?.kind !== kind && this.#fault?.kind !== "damaged") {
      this.#log.error(`${message} (${cause})`);
      this.#fault = { kind, message, sinceMs: performance.now() };
    }
    return message;
  }

  /** A write reached the disk, or the server answered. Damage does not heal. */
  wrote(): void {
    if (this.#fault === null || this.#fault.kind === "damaged") return;
    this.#log.info(
      `The coordinator's database can be used again after ${describeMs(performance.now() - this.#fault.sinceMs)}`,
    );
    this.#fault = null;
  }
}

/** SQLite's extended codes (`SQLITE_IOERR_WRITE`) begin with the primary one. */
function sqliteFaultOf(error: unknown): FaultKind | null {
  const code = errorCode(error) ?? "";
  if (/^SQLITE_FULL|^(?:ENOSPC|EDQUOT)$/.test(code)) return "full";
  if (/^SQLITE_(?:READONLY|PERM|CANTOPEN)|^EROFS$/.test(code)) return "read-only";
  if (/^SQLITE_(?:CORRUPT|NOTADB)/.test(code)) return "damaged";
  if (/^SQLITE_IOERR|^(?:EIO|EFBIG)$/.test(code)) return "failing";
  return null;
}
