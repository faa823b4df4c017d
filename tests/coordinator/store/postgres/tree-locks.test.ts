import { expect, test } from "bun:test";
import type { PostgresStore } from "../../../../src/coordinator/store/postgres/postgres-store.ts";
import { sharedPostgres } from "../../../harness/postgres.ts";
import { until } from "../../../harness/until.ts";
import { addSession, openStore } from "./open-store.ts";

const postgres = sharedPostgres();
const CHILDREN = 16;

/** Ends a child, and returns whether it was the last: the parent is to be resumed. */
async function endChild(store: PostgresStore, parent: string, child: string): Promise<boolean> {
  return await store.write(async () => {
    await store.lockTree(child);
    await store.run("UPDATE sessions SET status = 'ended' WHERE session_id = ?", child);
    const open = await store.get<{ n: number }>(
      "SELECT count(*) AS n FROM sessions WHERE parent_session_id = ? AND status <> 'ended'",
      parent,
    );
    return open?.n === 0;
  });
}

test("of children that end at once at two coordinators exactly one is the last", async () => {
  await using database = await postgres.database();
  await using one = await openStore(database.url);
  await using two = await openStore(database.url);
  for (let round = 0; round < 20; round++) {
    const parent = `parent-${round}`;
    await addSession(one, parent);
    const children = Array.from({ length: CHILDREN }, (_, i) => `${parent}-child-${i}`);
    for (const child of children) await addSession(one, child, parent);
    const last = await Promise.all(children.map((child, i) => endChild(i % 2 === 0 ? one : two, parent, child)));
    expect(last.filter(Boolean)).toHaveLength(1);
  }
});

test("a tree holds one connection, however many of its sessions end at once", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  await addSession(store, "parent");
  const children = Array.from({ length: CHILDREN }, (_, i) => `child-${i}`);
  for (const child of children) await addSession(store, child, "parent");
  // The tree of each is known, so nobody needs a connection to find it.
  for (const child of children) await store.write(async () => await store.lockTree(child));
  const free = Promise.withResolvers<void>();
  let inside = 0;
  const writes = children.map(async (child) => {
    await store.write(async () => {
      await store.lockTree(child);
      inside++;
      await free.promise;
    });
  });
  await until("one is inside", () => inside > 0);
  expect(await store.get("SELECT 1 AS one")).toEqual({ one: 1 });
  expect(store.connections).toEqual({ inUse: 1, waiting: 0, size: 10 });
  free.resolve();
  await Promise.all(writes);
  expect(inside).toBe(CHILDREN);
});

test("two trees that are locked in opposite orders are locked one after the other, without a deadlock", async () => {
  await using database = await postgres.database();
  await using one = await openStore(database.url, { pool_size: "4" });
  await using two = await openStore(database.url, { pool_size: "4" });
  await addSession(one, "a");
  await addSession(one, "b");
  const deadlocks = async (): Promise<unknown> =>
    await database.sql.unsafe("SELECT deadlocks::int AS n FROM pg_stat_database WHERE datname = current_database()");
  const before = await deadlocks();
  const write = async (store: PostgresStore, first: string, second: string): Promise<void> => {
    await store.write(async () => {
      await store.lockTree(first);
      await store.run("UPDATE sessions SET num_turns = num_turns + 1 WHERE session_id = ?", first);
      await store.lockTree(second);
      await store.run("UPDATE sessions SET num_turns = num_turns + 1 WHERE session_id = ?", second);
    });
  };
  const writes = Array.from({ length: 100 }, async (_, i) => {
    const store = i % 4 < 2 ? one : two;
    await (i % 2 === 0 ? write(store, "a", "b") : write(store, "b", "a"));
  });
  await Promise.all(writes);
  expect(await one.all("SELECT num_turns FROM sessions")).toEqual([{ num_turns: 100 }, { num_turns: 100 }]);
  expect(await deadlocks()).toEqual(before);
});

test("a session that was moved is locked with its new tree, also where the old one is remembered", async () => {
  await using database = await postgres.database();
  await using one = await openStore(database.url);
  await using two = await openStore(database.url);
  for (const root of ["z-root", "moved"]) await addSession(one, root);
  await two.write(async () => await two.lockTree("moved"));
  await one.run("UPDATE sessions SET parent_session_id = 'z-root' WHERE session_id = 'moved'");
  const inside = Promise.withResolvers<void>();
  const free = Promise.withResolvers<void>();
  const order: string[] = [];
  const holding = one.write(async () => {
    await one.lockTree("z-root");
    inside.resolve();
    await free.promise;
    order.push("root");
  });
  await inside.promise;
  const waiting = two.write(async () => {
    await two.lockTree("moved");
    order.push("moved");
  });
  await until("the other waits for the lock", async () => {
    const rows = await database.sql.unsafe("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
    return rows.length > 0;
  });
  free.resolve();
  await Promise.all([holding, waiting]);
  expect(order).toEqual(["root", "moved"]);
});

test("sessions that do not exist yet are locked too", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  let created = 0;
  const create = Array.from({ length: 8 }, async () => {
    await store.write(async () => {
      await store.lockTree("new");
      if ((await store.get("SELECT 1 FROM sessions WHERE session_id = 'new'")) !== null) return;
      await addSession(store, "new");
      created++;
    });
  });
  await Promise.all(create);
  expect(created).toBe(1);
});
