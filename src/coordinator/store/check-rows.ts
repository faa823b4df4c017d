import type { Database } from "bun:sqlite";
import { ROLES } from "../../protocol/access/tokens.ts";

/**
 * What every row has that this program wrote. SQLite's own check compares indexes with tables, but has no checksums: a
 * flipped bit in a column without an index passes it.
 */
const ONE_OF: readonly (readonly [table: string, column: string, words: readonly string[]])[] = [
  ["runs", "type", ["start_session", "resume_session"]],
  ["runs", "status", ["pending", "claimed", "running", "stopping", "completed", "failed", "stopped"]],
  ["runs", "execution_mode", ["sync", "async_poll", "async_callback"]],
  ["runs", "waiting_for", ["time", "turn", "runner", "retry"]],
  ["sessions", "execution_mode", ["sync", "async_poll", "async_callback"]],
  ["callbacks", "status", ["completed", "failed", "stopped"]],
  ["runners", "status", ["online", "stale"]],
  ["tokens", "role", ROLES],
];
const TIMES: readonly (readonly [table: string, column: string])[] = [
  ["runs", "created_at"],
  ["runs", "claimed_at"],
  ["runs", "started_at"],
  ["runs", "completed_at"],
  ["sessions", "created_at"],
  ["sessions", "last_resumed_at"],
];
const JSON_TEXTS: readonly (readonly [table: string, column: string])[] = [
  ["runs", "demands"],
  ["runs", "asked_demands"],
  ["agents", "definition"],
  ["runners", "tags"],
  ["events", "body"],
];

/** An event repeats its session and says what it is. */
const WRONG_EVENT = `json_valid(body)
  AND (body ->> 'session_id' IS NOT session_id OR body ->> 'event_type' IS NULL)`;

const WRONG: readonly (readonly [table: string, column: string, condition: string])[] = [
  ...ONE_OF.map(([table, column, words]) => {
    return [table, column, `${column} NOT IN (${words.map((word) => `'${word}'`).join(", ")})`] as const;
  }),
  ...TIMES.map(
    ([table, column]) => [table, column, `strftime('%Y-%m-%dT%H:%M:%fZ', ${column}) IS NOT ${column}`] as const,
  ),
  ["events", "body", WRONG_EVENT],
];

/** Names the first value that this program cannot have written; null if there is none. */
export function wrongRow(db: Database): string | null {
  for (const [table, column, condition] of WRONG) {
    const found = db
      .query<{ id: number }, []>(
        `SELECT rowid AS id FROM ${table} NOT INDEXED WHERE ${column} IS NOT NULL AND (${condition}) LIMIT 1`,
      )
      .get();
    if (found !== null) return `row ${found.id} of ${table} has a wrong ${column}`;
  }
  return wrongJson(db);
}

/**
 * SQLite takes JSON that is nested a thousand levels deep for invalid, and an executor may send it: so it is parsed.
 */
function wrongJson(db: Database): string | null {
  for (const [table, column] of JSON_TEXTS) {
    const doubtful = db
      .query<{ id: number; text: string }, []>(
        `SELECT rowid AS id, ${column} AS text FROM ${table} NOT INDEXED
         WHERE ${column} IS NOT NULL AND NOT json_valid(${column})`,
      )
      .all();
    const wrong = doubtful.find(({ text }) => !isJson(text));
    if (wrong !== undefined) return `row ${wrong.id} of ${table} has a wrong ${column}`;
  }
  return null;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
