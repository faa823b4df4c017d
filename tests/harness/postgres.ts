import { SQL } from "bun";
import { afterAll, beforeAll } from "bun:test";
import { randomUUID } from "node:crypto";
import { PostgresServer } from "./postgres-server.ts";

const START_MS = 60_000;

/** A schema of its own for one test, dropped at the end: left tables make the recovery of a server slow. */
export interface TestDatabase extends AsyncDisposable {
  /** With the schema in it. */
  readonly url: string;
  readonly schema: string;
  /** For a look by hand, on connections of its own, with the schema as search path. */
  readonly sql: SQL;
}

export interface SharedPostgres {
  /** Undefined where the tests use a server that is not theirs: it cannot be stopped. */
  readonly server: PostgresServer | undefined;
  database(): Promise<TestDatabase>;
}

/** One server for all tests of a file: the one of AGENT_RUNNER_TEST_DATABASE, else its own. */
export function sharedPostgres(): SharedPostgres {
  const foreign = process.env["AGENT_RUNNER_TEST_DATABASE"];
  let server: PostgresServer | undefined;
  beforeAll(async () => {
    if (!foreign) server = await PostgresServer.start();
  }, START_MS);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  return {
    get server() {
      return server;
    },
    async database() {
      const url = foreign || server?.url;
      if (url === undefined) throw new Error("the server exists only while tests run");
      return await createDatabase(url);
    },
  };
}

/** A schema in the database of `url`. */
export async function createDatabase(url: string): Promise<TestDatabase> {
  const schema = `test_${randomUUID().replaceAll("-", "")}`;
  const sql = new SQL(url, { max: 2, connection: { search_path: schema, client_min_messages: "warning" } });
  await sql.unsafe(`CREATE SCHEMA ${schema}`);
  const withSchema = new URL(url);
  withSchema.searchParams.set("schema", schema);
  return {
    url: withSchema.href,
    schema,
    sql,
    async [Symbol.asyncDispose]() {
      await sql.unsafe(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      await sql.close({ timeout: 1 });
    },
  };
}

/** Whether the coordinator of a test has its database on a server and not in a file (`scripts/with-postgres.ts`). */
export const IS_POSTGRES = process.env["AGENT_RUNNER_TEST_STORE"] === "postgres";

/** Made by tests of this process that have ended: emptying tables takes a tenth of the time of making them. */
const idle: TestDatabase[] = [];

/** More than one, so that transactions meet; a coordinator's pool opens all at its start, which takes time. */
const CONNECTIONS = 3;

/** The database of a test whose coordinator does not change the schema. Dispose it when the coordinator is closed. */
export async function databaseForFixture(): Promise<TestDatabase | undefined> {
  const url = process.env["AGENT_RUNNER_TEST_DATABASE"];
  if (!IS_POSTGRES || !url) return undefined;
  const database = idle.pop() ?? (await createDatabase(url));
  const small = new URL(database.url);
  small.searchParams.set("pool_size", String(CONNECTIONS));
  return {
    url: small.href,
    schema: database.schema,
    sql: database.sql,
    async [Symbol.asyncDispose]() {
      await database.sql.unsafe(EMPTY);
      idle.push(database);
    },
  };
}

/** As a new schema: its sequences begin at 1, and no trigger guards what is deleted. */
const EMPTY = `DO $$
  DECLARE name text;
  BEGIN
    PERFORM set_config('session_replication_role', 'replica', true);
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema AND tablename <> 'schema_version' LOOP
      EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    PERFORM setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = current_schema;
    INSERT INTO counters (name, value) VALUES ('moves', 0);
  END $$`;
