import { expect, test } from "bun:test";
import { silentLog } from "../../../../src/log.ts";
import { parseDatabaseUrl } from "../../../../src/coordinator/store/postgres/database-url.ts";
import { PostgresStore } from "../../../../src/coordinator/store/postgres/postgres-store.ts";
import { sharedPostgres } from "../../../harness/postgres.ts";

const postgres = sharedPostgres();

async function open(url: string): Promise<PostgresStore> {
  return await PostgresStore.open(parseDatabaseUrl(url), silentLog);
}

const ADD = "INSERT INTO counters (name, value) VALUES (?, ?)";
const COUNTERS = "SELECT name, value FROM counters WHERE name <> 'moves' ORDER BY name";

test("write commits all or nothing, and joins a write that is open", async () => {
  await using database = await postgres.database();
  await using store = await open(database.url);
  await store.write(async () => {
    await store.run(ADD, "a", 1);
    await store.write(async () => void (await store.run(ADD, "b", 2)));
  });
  const failed = store.write(async () => {
    await store.run(ADD, "c", 3);
    throw new Error("no");
  });
  expect(failed).rejects.toThrow("no");
  await failed.catch(() => {});
  expect(await store.all(COUNTERS)).toEqual([
    { name: "a", value: 1 },
    { name: "b", value: 2 },
  ]);
});
