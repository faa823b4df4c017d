import { delay } from "../../../async/delay.ts";
import { describeError, UserError } from "../../../errors.ts";
import type { Log } from "../../../log.ts";
import type { Connection, Pool } from "./pool.ts";
import { errorKindOf, openingHint } from "./postgres-errors.ts";
import { POSTGRES_MIGRATIONS } from "./postgres-schema.ts";
import { Repetition } from "./repetition.ts";

export interface MigrationParts {
  readonly pool: Pool;
  /** The database for people. */
  readonly name: string;
  readonly schema: string | undefined;
  /** For the time of a transaction. */
  readonly settings: Readonly<Record<string, string>>;
  readonly log: Log;
}

interface Version {
  readonly version: number;
  readonly oldestReader: number;
}

const OLDEST_SERVER = 13;
const LOCK_PAUSE_MS = 100;
/** The number of the lock is made of the schema too: other schemas of the database have other coordinators. */
const TRY_LOCK =
  "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema()::text || ' schema_version', 0)) AS got";
const OWN_TABLES = "'runs', 'sessions', 'events'";

/**
 * Creates the tables, or brings them up to date, in one transaction. Of several coordinators that start at once one
 * does it and the others wait. UserError: the database cannot be used.
 */
export async function migrate(parts: MigrationParts): Promise<void> {
  const repetition = new Repetition(parts.pool);
  for (;;) {
    try {
      await attempt(parts);
      return;
    } catch (error) {
      if (error instanceof UserError) throw error;
      // A commit without an answer is no question here: the next attempt sees the version.
      if (await repetition.pause(error)) continue;
      throw openingError(parts.name, error);
    }
  }
}

async function attempt(parts: MigrationParts): Promise<void> {
  const { pool, schema, settings, name } = parts;
  const connection = await pool.take();
  try {
    await requireServer(connection, name);
    await connection.query("BEGIN");
    for (const [key, value] of Object.entries(settings)) {
      await connection.query("SELECT set_config($1, $2, true)", [key, value]);
    }
    if (schema !== undefined) await requireSchema(connection, schema);
    if ((await versionOf(connection, name)) === null) await lockAndMigrate(connection, parts);
    await connection.query("COMMIT");
  } catch (error) {
    await connection.query("ROLLBACK").catch(() => {});
    throw error;
  } finally {
    await connection.release();
  }
}

async function requireServer(connection: Connection, name: string): Promise<void> {
  const [row] = await connection.query(
    "SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding",
  );
  const major = Math.floor(Number(row?.["version"]) / 10_000);
  if (major < OLDEST_SERVER) {
    throw new UserError(`The server of ${name} is PostgreSQL ${major}`, {
      hint: `Use PostgreSQL ${OLDEST_SERVER} or newer`,
    });
  }
  if (row?.["encoding"] !== "UTF8") {
    throw new UserError(`The database ${name} stores text as ${String(row?.["encoding"])}`, {
      hint: "Create it with: createdb --encoding=UTF8 --template=template0",
    });
  }
}

async function requireSchema(connection: Connection, schema: string): Promise<void> {
  const [known] = await connection.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]);
  if (known === undefined) await connection.query(`CREATE SCHEMA IF NOT EXISTS "${schema.replaceAll('"', '""')}"`);
}

/** Null: there is something to do. UserError: a newer version's tables, or another program's. */
async function versionOf(connection: Connection, name: string): Promise<Version | null> {
  const [found] = await connection.query(
    `SELECT to_regclass('schema_version') IS NOT NULL AS ours, EXISTS (SELECT 1 FROM pg_tables
      WHERE schemaname = current_schema() AND tablename IN (${OWN_TABLES})) AS others`,
  );
  if (found?.["ours"] !== true) {
    if (found?.["others"] !== true) return null;
    throw new UserError(`The database ${name} holds tables of another program`, {
      hint: "Give the coordinator a database of its own, or a schema of its own with schema=NAME in the URL",
    });
  }
  const [row] = await connection.query("SELECT version, oldest_reader FROM schema_version");
  const version = Number(row?.["version"]);
  const oldestReader = Number(row?.["oldest_reader"]);
  if (oldestReader > POSTGRES_MIGRATIONS.length) {
    throw new UserError(`The tables of ${name} were written by a newer version of agent-runner`, {
      hint: "Use that version for every coordinator",
    });
  }
  return version >= POSTGRES_MIGRATIONS.length ? { version, oldestReader } : null;
}

async function lockAndMigrate(connection: Connection, { name, log }: MigrationParts): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    const [row] = await connection.query(TRY_LOCK);
    if (row?.["got"] === true) break;
    if (isFirst) log.info("Waiting for another coordinator, which brings the database's tables up to date");
    await delay(LOCK_PAUSE_MS);
  }
  // Another coordinator may have finished while this one waited.
  if ((await versionOf(connection, name)) !== null) return;
  await connection.query(
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL, oldest_reader BIGINT NOT NULL)",
  );
  const [row] = await connection.query("SELECT version FROM schema_version");
  const from = Number(row?.["version"] ?? 0);
  for (const { sql } of POSTGRES_MIGRATIONS.slice(from)) await connection.query(sql);
  const oldest = String(POSTGRES_MIGRATIONS.at(-1)?.oldestReader ?? 1);
  await connection.query("DELETE FROM schema_version");
  await connection.query("INSERT INTO schema_version (version, oldest_reader) VALUES ($1, $2)", [
    String(POSTGRES_MIGRATIONS.length),
    oldest,
  ]);
}

function openingError(name: string, error: unknown): unknown {
  if (errorKindOf(error) === null) return error;
  const hint = openingHint(error);
  return new UserError(`Cannot use the coordinator's database ${name}: ${describeError(error)}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
