import type { Database } from "bun:sqlite";

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
  ["agents", "definition"],
  ["runners", "tags"],
  ["events", "body"],
];

/**
 * Not `json_valid`: SQLite takes JSON that is nested a thousand levels deep for invalid, and an executor may send it.
 */
function isNoJson(column: string): string {
  return `substr(${column}, 1, 1) || substr(${column}, -1) NOT IN ('{}', '[]')`;
}

const WRONG: readonly (readonly [table: string, column: string, condition: string])[] = [
  ...ONE_OF.map(([table, column, words]) => {
    return [table, column, `${column} NOT IN (${words.map((word) => `'${word}'`).join(", ")})`] as const;
  }),
  ...TIMES.map(
    ([table, column]) => [table, column, `strftime('%Y-%m-%dT%H:%M:%fZ', ${column}) IS NOT ${column}`] as const,
  ),
  ...JSON_TEXTS.map(([table, column]) => [table, column, isNoJson(column)] as const),
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
  return null;
}
