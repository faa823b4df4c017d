import { Database, type Statement } from "bun:sqlite";
import { expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import { SqliteStore } from "../../../src/coordinator/store/sqlite-store.ts";
import { silentLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { Fixture } from "../fixture.ts";

function withStore(body: (store: SqliteStore, count: () => number) => void): void {
  using folder = tempFolder();
  const store = new SqliteStore(join(folder.path, "c.db"), silentLog);
  const count = (): number => store.db.query<{ n: number }, []>("SELECT count(*) AS n FROM agents").get()?.n ?? -1;
  try {
    body(store, count);
  } finally {
    store.close();
  }
}

const insert = (store: SqliteStore, name: string): void =>
  void store.db.query("INSERT INTO agents VALUES (?, '{}', 'active', '', '')").run(name);

test("write rolls back work that throws, drops its effects, and stays usable", () => {
  withStore((store, count) => {
    const effects: string[] = [];
    const work = (): void => {
      insert(store, "a");
      store.afterCommit(() => effects.push("a"));
      throw new Error("no");
    };
    expect(() => store.write(work)).toThrow("no");
    expect(count()).toBe(0);
    store.write(() => {
      insert(store, "b");
      store.afterCommit(() => effects.push("b"));
    });
    expect([count(), effects]).toEqual([1, ["b"]]);
  });
});

test("a nested write joins the outer transaction: both are kept or neither", () => {
  withStore((store, count) => {
    const both = (): void => {
      store.write(() => insert(store, "inner"));
      throw new Error("no");
    };
    expect(() => store.write(both)).toThrow("no");
    expect(count()).toBe(0);
  });
});

test("afterCommit runs after the outermost commit, at once without a transaction, and cannot fail the write", () => {
  withStore((store) => {
    const effects: string[] = [];
    store.write(() => {
      store.write(() => store.afterCommit(() => effects.push(`in transaction: ${store.db.inTransaction}`)));
      store.afterCommit(() => {
        throw new Error("effect");
      });
      expect(effects).toEqual([]);
    });
    store.afterCommit(() => effects.push("at once"));
    expect(effects).toEqual(["in transaction: false", "at once"]);
  });
});

test("undo data of a statement stays in memory: no other folder holds contents of the database", () => {
  withStore((store) => {
    expect(store.db.query("PRAGMA temp_store").get()).toEqual({ temp_store: 2 });
  });
});

test("SqliteStore: every statement in the life of a run is compiled once", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const life = async (): Promise<void> => {
    const { run_id, session_id } = await c.start();
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    await c.post(`/sessions/${session_id}/events`, {
      event_type: "session_stop",
      session_id,
      timestamp: new Date().toISOString(),
    });
    await c.report(run_id, "completed", runner);
    for (const list of ["/runs?limit=5", "/sessions?limit=5", "/trees?limit=5", "/runners", "/stats"])
      await c.get(list);
  };
  await life();
  const query = Object.getOwnPropertyDescriptor(Database.prototype, "query")?.value as (
    this: Database,
    sql: string,
  ) => Statement;
  const asked = new Map<string, Set<Statement>>();
  using _spy = spyOn(Database.prototype, "query").mockImplementation(function (this: Database, sql: string) {
    const statement = query.call(this, sql);
    asked.set(sql, (asked.get(sql) ?? new Set()).add(statement));
    return statement as never;
  });
  await life();
  await life();
  expect(asked.size).toBeGreaterThan(20);
  expect([...asked].filter(([, statements]) => statements.size > 1).map(([sql]) => sql)).toEqual([]);
});
