import { expect, test } from "bun:test";
import { type Cut, DatabaseProxy } from "../../../harness/database-proxy.ts";
import { sharedPostgres } from "../../../harness/postgres.ts";
import { ADD_COUNTER, openStore } from "./open-store.ts";

const postgres = sharedPostgres();
const COUNTERS = "SELECT name, value FROM counters WHERE name <> 'moves'";
const ROUNDS = 200;
/** As many as there are connections. A transaction is repeated for five seconds, and its wait for one counts. */
const WORKERS = 8;

test.each<Cut>(["before", "after"])("a COMMIT whose connection is cut %s its answer takes place once", async (cut) => {
  await using database = await postgres.database();
  const port = Number(new URL(database.url).port);
  await using proxy = await DatabaseProxy.start(port);
  await using store = await openStore(proxy.through(database.url), { pool_size: String(WORKERS) });
  const executed = new Map<string, number>();
  const effects: string[] = [];
  let commits = 0;
  // Not each: the repetition has to get through.
  proxy.onCommit = () => (commits++ % 3 === 0 ? cut : undefined);
  const write = async (name: string): Promise<void> =>
    await store.write(async () => {
      executed.set(name, (executed.get(name) ?? 0) + 1);
      // No unique key catches what is executed twice: the value tells.
      const { changes } = await store.run("UPDATE counters SET value = value + 1 WHERE name = 'moves'");
      expect(changes).toBe(1);
      await store.run(ADD_COUNTER, `${name}.${crypto.randomUUID()}`, 1);
      store.afterCommit(() => void effects.push(name));
    });
  await Promise.all(
    Array.from({ length: WORKERS }, async (_, worker) => {
      for (let i = worker; i < ROUNDS; i += WORKERS) await write(`n${i}`);
    }),
  );
  proxy.onCommit = () => undefined;
  expect(proxy.cuts).toBeGreaterThan(ROUNDS / 4);
  const names = (await store.all<{ name: string }>(COUNTERS)).map(({ name }) => name.split(".")[0] ?? "");
  expect(names).toHaveLength(ROUNDS);
  expect(new Set(names).size).toBe(ROUNDS);
  expect(effects.toSorted()).toEqual(names.toSorted());
  expect(await store.get("SELECT value FROM counters WHERE name = 'moves'")).toEqual({ value: ROUNDS });
  const repeated = [...executed.values()].filter((times) => times > 1).length;
  if (cut === "before") expect(repeated).toBeGreaterThan(0);
  else expect(repeated).toBe(0);
});
