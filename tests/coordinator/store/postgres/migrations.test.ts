import { expect, test } from "bun:test";
import { UserError } from "../../../../src/errors.ts";
import { sharedPostgres } from "../../../harness/postgres.ts";
import { openStore } from "./open-store.ts";

const postgres = sharedPostgres();

async function refusal(url: string): Promise<UserError> {
  const error = await openStore(url).catch((thrown: unknown) => thrown);
  if (!(error instanceof UserError)) throw new Error(`not refused: ${String(error)}`);
  return error;
}

test("five coordinators that start at once on an empty database all come up, many times", async () => {
  for (let round = 0; round < 5; round++) {
    await using database = await postgres.database();
    const stores = await Promise.all(Array.from({ length: 5 }, async () => await openStore(database.url)));
    for (const store of stores) {
      expect(await store.get("SELECT value FROM counters")).toEqual({ value: 0 });
      await store[Symbol.asyncDispose]();
    }
  }
});

test("a schema that the URL names and that is not there is created", async () => {
  await using database = await postgres.database();
  await database.sql.unsafe(`DROP SCHEMA ${database.schema}`);
  await using store = await openStore(database.url);
  expect(await store.get("SELECT current_schema()::text AS name")).toEqual({ name: database.schema });
});

test("a newer version's tables are used while they can be read, and refused after that", async () => {
  await using database = await postgres.database();
  await (await openStore(database.url))[Symbol.asyncDispose]();
  await database.sql.unsafe("UPDATE schema_version SET version = 1000");
  await (await openStore(database.url))[Symbol.asyncDispose]();
  await database.sql.unsafe("UPDATE schema_version SET oldest_reader = 1000");
  expect((await refusal(database.url)).message).toContain("a newer version of agent-runner");
});

test("another program's tables are refused, and stay as they are", async () => {
  await using database = await postgres.database();
  await database.sql.unsafe("CREATE TABLE runs (id INT)");
  const error = await refusal(database.url);
  expect(error.message).toContain("tables of another program");
  const tables = await database.sql.unsafe("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()");
  expect([...tables]).toEqual([{ tablename: "runs" }]);
});

test("a database that cannot be used is refused in words, without the password", async () => {
  await using database = await postgres.database();
  const secret = "s3cret-word";
  const withPassword = database.url.replace("//postgres@", `//postgres:${secret}@`);
  const cases: readonly (readonly [string, RegExp])[] = [
    [withPassword.replace("/postgres?", "/missing?"), /database "missing" does not exist/],
    [withPassword.replace("//postgres:", "//nobody:"), /role "nobody" does not exist/],
    [withPassword.replace("sslmode=disable", "sslmode=require"), /does not support SSL/],
  ];
  for (const [url, words] of cases) {
    const error = await refusal(url);
    expect(error.message).toMatch(words);
    expect(Bun.inspect(error)).not.toContain(secret);
    expect(`${error.message} ${error.hint}`).not.toContain(secret);
  }
});

test("a role that may not create tables is told so", async () => {
  await using database = await postgres.database();
  const role = `role_${database.schema}`;
  await database.sql.unsafe(`CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${database.schema} TO ${role}`);
  try {
    const error = await refusal(database.url.replace("//postgres@", `//${role}@`));
    expect(error.message).toContain("permission denied");
    expect(error.hint).toContain("GRANT CREATE");
  } finally {
    await database.sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
