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

export async function databaseForFixture(): Promise<TestDatabase | undefined> {
  const url = process.env["AGENT_RUNNER_TEST_DATABASE"];
  return IS_POSTGRES && url ? await createDatabase(url) : undefined;
}
