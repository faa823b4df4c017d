import { expect, test } from "bun:test";
import { Refusal } from "../../../../src/coordinator/store/refusal.ts";
import { sharedPostgres } from "../../../harness/postgres.ts";
import { until } from "../../../harness/until.ts";
import { ADD_COUNTER, openStore } from "./open-store.ts";

const postgres = sharedPostgres();
const NAMES = "SELECT name FROM counters WHERE name <> 'moves'";
const WORKERS = 8;

/** Adds counters until `isEnough`, and tells which were acknowledged and which refused. */
async function work(
  store: Awaited<ReturnType<typeof openStore>>,
  isEnough: () => boolean,
): Promise<{ acknowledged: string[]; refused: string[] }> {
  const acknowledged: string[] = [];
  const refused: string[] = [];
  await Promise.all(
    Array.from({ length: WORKERS }, async () => {
      while (!isEnough()) {
        const name = crypto.randomUUID();
        try {
          await store.write(async () => {
            await store.run("UPDATE counters SET value = value + 1 WHERE name = 'moves'");
            // Another row at each attempt, so that what is carried out twice is seen.
            await store.run(ADD_COUNTER, `${name} ${crypto.randomUUID()}`, 1);
          });
          acknowledged.push(name);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refused.push(name);
        }
      }
    }),
  );
  return { acknowledged, refused };
}

/** What was acknowledged is there once; what was refused, at most once; and nothing else. */
async function expectOnce(
  store: Awaited<ReturnType<typeof openStore>>,
  { acknowledged, refused }: { acknowledged: string[]; refused: string[] },
): Promise<void> {
  const stored = (await store.all<{ name: string }>(NAMES)).map(({ name }) => name.split(" ")[0] ?? "");
  expect(stored.length).toBe(new Set(stored).size);
  const known = new Set(stored);
  expect(acknowledged.filter((name) => !known.has(name))).toEqual([]);
  const asked = new Set([...acknowledged, ...refused]);
  expect(stored.filter((name) => !asked.has(name))).toEqual([]);
  expect(await store.get("SELECT value FROM counters WHERE name = 'moves'")).toEqual({ value: stored.length });
}

test("a server that crashes loses nothing that was acknowledged, and nothing is carried out twice", async () => {
  const { server } = postgres;
  if (server === undefined) return;
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  let crashes = 0;
  const working = work(store, () => crashes >= 5);
  for (; crashes < 5; crashes++) {
    const before = await store.get<{ value: number }>("SELECT value FROM counters WHERE name = 'moves'");
    await server.crash();
    await until("work goes on", async () => {
      const after = await store.get<{ value: number }>("SELECT value FROM counters WHERE name = 'moves'");
      return (after?.value ?? 0) > (before?.value ?? 0) + 20;
    });
  }
  const done = await working;
  expect(done.acknowledged.length).toBeGreaterThan(100);
  await expectOnce(store, done);
});

test("connections that the server ends in the middle of transactions cost nothing", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const killer = await openStore(database.url, { pool_size: "1" });
  await using _killer = killer;
  const own = await killer.get<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  let ended = 0;
  const working = work(store, () => ended >= 60);
  while (ended < 60) {
    const rows = await killer.all(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'agent-runner' AND pid <> pg_backend_pid() AND pid <> ?
         AND query LIKE '%counters%' ORDER BY random() LIMIT 2`,
      own?.pid ?? 0,
    );
    ended += rows.length;
  }
  const done = await working;
  expect(done.refused).toEqual([]);
  await expectOnce(store, done);
});

test("a server that is away is waited for; then requests are refused until it is back", async () => {
  const { server } = postgres;
  if (server === undefined) return;
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  await server.quit();
  const waiting = store.write(async () => await store.run(ADD_COUNTER, "waits", 1));
  await server.launch();
  expect(await waiting).toEqual({ changes: 1 });
  await server.quit();
  const refused = store.write(async () => await store.run(ADD_COUNTER, "refused", 1)).catch((error: unknown) => error);
  const read = store.get("SELECT 1 AS one").catch((error: unknown) => error);
  expect(await refused).toMatchObject({ kind: "unavailable" });
  expect(await read).toMatchObject({ kind: "unavailable" });
  expect(store.health.fault).toContain("its server does not answer");
  await server.launch();
  await until("it heals", async () => (await store.probe()) === null);
  expect(await store.all(NAMES)).toEqual([{ name: "waits" }]);
});
