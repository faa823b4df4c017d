import { SQL } from "bun";
import type { FaultKind } from "../store-health.ts";

/** What an error of the database means for the transaction in which it came. */
export type ErrorKind =
  /** It met another transaction and was rolled back: repeated, it goes through. */
  | "conflict"
  /** Another transaction has inserted the same key meanwhile: repeated, this one finds the row. */
  | "duplicate"
  /** The connection or the server is gone. Whether a statement outside a transaction was carried out is unknown. */
  | "connection"
  /** A newer coordinator has changed the table behind a prepared statement: Bun prepares it again. */
  | "stale-plan"
  /** The server cannot do it now; a repetition would wait for an operator. */
  | "fault"
  /** The statement itself is wrong. */
  | "statement";

/** Null: not an error of the database. */
export function errorKindOf(error: unknown): ErrorKind | null {
  if (!(error instanceof SQL.PostgresError)) return null;
  const state = error.errno;
  // Bun's own errors have no SQLSTATE: the connection was closed, refused, timed out, or broke the protocol.
  if (state === undefined) {
    if (REFUSALS.test(error.code)) return "fault";
    return OWN_MISTAKES.test(error.code) ? "statement" : "connection";
  }
  if (error.routine === "RevalidateCachedQuery") return "stale-plan";
  if (/^(?:40001|40P01|55P03)$/.test(state)) return "conflict";
  if (state === "23505") return "duplicate";
  // 53300: too many connections. 25006: the server has become a standby. 25P03: this process was paused.
  if (/^(?:08|57P0|53300$|25006$|25P03$)/.test(state)) return "connection";
  if (REFUSED.test(state)) return "fault";
  if (error.severity === "FATAL" || error.severity === "PANIC") return "connection";
  // 57014: longer than `statement_timeout`. 26000: the pooler knows no prepared statement.
  return /^(?:53|57014$|58|XX|26000$)/.test(state) ? "fault" : "statement";
}

/** The user, the password, the database or its encryption: another attempt ends in the same way. */
const REFUSED = /^(?:28|3D000$|42501$)/;
const REFUSALS = /TLS|AUTHENTICATION|SASL|CHANNEL_BINDING/;
const OWN_MISTAKES =
  /TAGGED_CALL|UNSAFE_TRANSACTION|TOO_MANY_PARAMETERS|UNSUPPORTED_(?:ARRAY|BYTEA|INTEGER)|SYNTAX_ERROR/;

/**
 * Whether the server itself says that a COMMIT was not carried out. Any other error leaves that open: the server may
 * have committed before the connection was lost.
 */
export function isRolledBack(error: unknown): boolean {
  return error instanceof SQL.PostgresError && error.errno !== undefined && error.severity === "ERROR";
}

/** Why the database cannot be used; null for an error of the statement or of this program. */
export function faultOf(error: unknown): FaultKind | null {
  const kind = errorKindOf(error);
  if (kind === null || kind === "statement" || kind === "duplicate") return null;
  const { errno: state, code } = error as SQL.PostgresError;
  if (state === undefined ? REFUSALS.test(code) : REFUSED.test(state)) return "refused";
  if (state === "53100") return "full";
  if (state === "25006") return "read-only";
  if (state === "26000") return "pooled";
  if (state === "57014") return "slow";
  return kind === "connection" ? "away" : "failing";
}

/** What to do about a database that cannot be opened. */
export function openingHint(error: unknown): string | undefined {
  if (!(error instanceof SQL.PostgresError)) return undefined;
  if (/TLS_NOT_AVAILABLE/.test(error.code)) return "Add sslmode=disable to its URL, if the network is trusted";
  if (/CONNECTION_(?:REFUSED|FAILED|TIMEOUT|CLOSED)/.test(error.code)) return "Start its server, or mend its URL";
  switch (error.errno) {
    case "28P01":
    case "28000":
      return "Mend the user or the password of its URL, or the server's pg_hba.conf";
    case "3D000":
      return "Create it with: createdb --encoding=UTF8 --template=template0";
    case "42501":
    case "3F000":
      return "Let its owner allow the tables: GRANT CREATE, USAGE ON SCHEMA public TO user";
    case "25006":
      return "It is a standby: name the primary server";
    default:
      return undefined;
  }
}
