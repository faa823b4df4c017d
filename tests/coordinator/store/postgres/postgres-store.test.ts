import { expect, test } from "bun:test";
import { sharedPostgres } from "../../../harness/postgres.ts";
import { until } from "../../../harness/until.ts";
import { ADD_COUNTER, openStore } from "./open-store.ts";

const postgres = sharedPostgres();

const COUNTERS = "SELECT name, value FROM counters WHERE name <> 'moves' ORDER BY name";

/** With and without a pooler in front: the second sends settings with each transaction, and prepares nothing. */
test.each([{}, { prepare: "false" }])(
  "write commits all or nothing, and joins an open write: %j",
  async (parameters) => {
    await using database = await postgres.database();
    await using store = await openStore(database.url, parameters);
    const effects: string[] = [];
    await store.write(async () => {
      await store.run(ADD_COUNTER, "a", 1);
      await store.write(async () => {
        await store.run(ADD_COUNTER, "b", 2);
        store.afterCommit(() => void effects.push("b"));
      });
      expect(effects).toEqual([]);
    });
    const failed = store.write(async () => {
      await store.run(ADD_COUNTER, "c", 3);
      store.afterCommit(() => void effects.push("c"));
      throw new Error("no");
    });
    expect(await failed.catch((error: unknown) => error)).toEqual(new Error("no"));
    expect(effects).toEqual(["b"]);
    expect(await store.all(COUNTERS)).toEqual([
      { name: "a", value: 1 },
      { name: "b", value: 2 },
    ]);
  },
);

test("a statement that failed takes its transaction with it, even if the work has caught the error", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const failed = store.write(async () => {
    await store.run(ADD_COUNTER, "a", 1);
    await store.run("INSERT INTO counters (name, value) VALUES (?, ?)", "b", "no number").catch(() => {});
  });
  expect(String(await failed.catch((error: unknown) => error))).toContain("invalid input syntax");
  expect(await store.all(COUNTERS)).toEqual([]);
});

test("a transaction that is over counts as none for what was started inside", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const begun = Promise.withResolvers<void>();
  let late: Promise<unknown> | undefined;
  await store.write(async () => {
    await store.run(ADD_COUNTER, "a", 1);
    late = begun.promise.then(async () => await store.run(ADD_COUNTER, "b", 2));
  });
  begun.resolve();
  expect(await late).toEqual({ changes: 1 });
});

test("a read outside sees nothing that is not committed", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const inside = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<void>();
  const writing = store.write(async () => {
    await store.run(ADD_COUNTER, "a", 1);
    inside.resolve();
    await seen.promise;
  });
  await inside.promise;
  expect(await store.all(COUNTERS)).toEqual([]);
  seen.resolve();
  await writing;
});

test("values come back as SQLite gives them", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  await store.run(ADD_COUNTER, "a", 2 ** 40);
  expect(
    await store.get(
      `SELECT name, value, count(*) AS n, sum(value) AS s, EXISTS (SELECT 1) AS yes, NOT EXISTS (SELECT 1) AS no,
         0.5 AS half, 1.25::double precision AS f, NULL::bigint AS nothing, ?2 AS second, ?1 AS first, ?2 AS again
       FROM counters WHERE value = ? GROUP BY name, value`,
      "one",
      "two",
      2 ** 40,
    ),
  ).toEqual({
    name: "a",
    value: 2 ** 40,
    n: 1,
    s: 2 ** 40,
    yes: 1,
    no: 0,
    half: 0.5,
    f: 1.25,
    nothing: null,
    second: "two",
    first: "one",
    again: "two",
  });
  expect(await store.get("SELECT value FROM counters INDEXED BY no_such WHERE name = ?", "x")).toBeNull();
  expect(await store.run("UPDATE counters SET value = 0 WHERE name IN (?, ?)", "a", "moves")).toEqual({ changes: 2 });
});

test("text that PostgreSQL cannot store is stored with a replacement character", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  await store.run(ADD_COUNTER, "a\0b\ud800c'\u{1f600}", 1);
  expect(await store.all(COUNTERS)).toEqual([{ name: "a\ufffdb\ufffdc'\u{1f600}", value: 1 }]);
});

test("transactions that wait for each other are both carried out", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  await store.run(ADD_COUNTER, "a", 0);
  await store.run(ADD_COUNTER, "b", 0);
  const add = "UPDATE counters SET value = value + 1 WHERE name = ?";
  let both = 0;
  const met = Promise.withResolvers<void>();
  const write = async (first: string, second: string): Promise<void> => {
    await store.write(async () => {
      await store.run(add, first);
      if (++both === 2) met.resolve();
      await met.promise;
      await store.run(add, second);
    });
  };
  await Promise.all([write("a", "b"), write("b", "a")]);
  expect(both).toBe(3);
  expect(await store.all(COUNTERS)).toEqual([
    { name: "a", value: 2 },
    { name: "b", value: 2 },
  ]);
});

test("a key that another transaction has inserted meanwhile is found at the second look", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const find = "SELECT value FROM counters WHERE name = 'key'";
  const met = Promise.withResolvers<void>();
  let looks = 0;
  const create = async (value: number): Promise<unknown> =>
    await store.write(async () => {
      const found = await store.get(find);
      if (++looks === 2) met.resolve();
      if (found !== null) return found;
      await met.promise;
      await store.run(ADD_COUNTER, "key", value);
      return await store.get(find);
    });
  const [one, two] = await Promise.all([create(1), create(2)]);
  expect(one).toEqual(two);
  expect(looks).toBe(3);
  let attempts = 0;
  const failed = store.write(async () => {
    attempts++;
    await store.run(ADD_COUNTER, "key", 3);
  });
  expect(String(await failed.catch((error: unknown) => error))).toContain("duplicate key");
  expect(attempts).toBe(2);
});

test("another program that changes a table does not disturb prepared statements", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url, { pool_size: "1" });
  const all = "SELECT * FROM counters WHERE name = ?";
  await store.get(all, "moves");
  await database.sql.unsafe("ALTER TABLE counters ADD COLUMN note TEXT");
  expect(await store.get(all, "moves")).toEqual({ name: "moves", value: 0, note: null });
  await database.sql.unsafe("ALTER TABLE counters ADD COLUMN other TEXT");
  expect(await store.write(async () => await store.get(all, "moves"))).toMatchObject({ other: null });
});

test("callers beyond the size of the pool wait for a connection", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url, { pool_size: "2" });
  const free = Promise.withResolvers<void>();
  const writes = Array.from({ length: 6 }, async (_, i) => {
    await store.write(async () => {
      await store.run(ADD_COUNTER, `n${i}`, i);
      await free.promise;
    });
  });
  await until("the pool is full", () => store.connections.waiting === 4);
  expect(store.connections).toEqual({ inUse: 2, waiting: 4, size: 2 });
  free.resolve();
  await Promise.all(writes);
  expect(await store.all(COUNTERS)).toHaveLength(6);
  expect(store.connections).toEqual({ inUse: 0, waiting: 0, size: 2 });
});

test("a closed store refuses at once", async () => {
  await using database = await postgres.database();
  const store = await openStore(database.url);
  await store[Symbol.asyncDispose]();
  expect(await store.get("SELECT 1").catch((error: unknown) => error)).toMatchObject({ kind: "unavailable" });
  const write = store.write(async () => await store.run(ADD_COUNTER, "a", 1));
  expect(await write.catch((error: unknown) => error)).toMatchObject({ kind: "unavailable" });
});
