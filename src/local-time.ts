import { Database } from "bun:sqlite";

/*
 * The local time of a log line, from SQLite. SQLite asks the system for the zone (TZ, or the system's own). JavaScript
 * builds tables of zones at the first question: 15 ms of each start, and 1 MB that stays.
 */

let query: { get(ms: number): { readonly text: string } | null } | undefined;

/** `2025-01-15 10:00:00` in this machine's zone. */
export function localTime(date: Date): string {
  query ??= new Database(":memory:").query(
    "SELECT strftime('%Y-%m-%d %H:%M:%S', ? / 1000, 'unixepoch', 'localtime') AS text",
  );
  return query.get(date.getTime())?.text ?? "";
}
