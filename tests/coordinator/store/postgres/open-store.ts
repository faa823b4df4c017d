import { parseDatabaseUrl } from "../../../../src/coordinator/store/postgres/database-url.ts";
import { PostgresStore } from "../../../../src/coordinator/store/postgres/postgres-store.ts";
import { type Log, silentLog } from "../../../../src/log.ts";

/** A store on the database of `url`, with further parameters of the URL. */
export async function openStore(
  url: string,
  parameters: Readonly<Record<string, string>> = {},
  log: Log = silentLog,
): Promise<PostgresStore> {
  const full = new URL(url);
  for (const [name, value] of Object.entries(parameters)) full.searchParams.set(name, value);
  return await PostgresStore.open(parseDatabaseUrl(full.href), log);
}

export const ADD_COUNTER = "INSERT INTO counters (name, value) VALUES (?, ?)";

const SESSION =
  "INSERT INTO sessions (session_id, status, created_at, parent_session_id) VALUES (?, 'idle', '2026-01-01', ?)";

/** A session, below a parent if one is named. */
export async function addSession(store: PostgresStore, id: string, parent: string | null = null): Promise<void> {
  await store.run(SESSION, id, parent);
}
