import { Database, type Statement } from "bun:sqlite";
import { expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import { SqliteStore } from "../../../src/coordinator/store/sqlite-store.ts";
import type { Store } from "../../../src/coordinator/store/store.ts";
import { silentLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { Fixture } from "../fixture.ts";

async function withStore(body: (store: SqliteStore, count: () => Promise<number>) => Promise<void>): Promise<void> {
  using folder = tempFolder();
  await using store = new SqliteStore(join(folder.path, "c.db"), silentLog);
  const count = async (): Promise<number> =>
    (await store.get<{ n: number }>("SELECT count(*) AS n FROM agents"))?.n ?? -1;
  await body(store, count);
}

const insert = (store: Store, name: string): Promise<unknown> =>
  store.run("INSERT INTO agents VALUES (?, '{}', 'active', '', '')", name);

test("write rolls back work that throws, drops its effects, and stays usable", async () => {
  await withStore(async (store, count) => {
    const effects: string[] = [];
    const work = async (): Promise<void> => {
      await insert(store, "a");
      store.afterCommit(() => void effects.push("a"));
      throw new Error("no");
    };
    await expect(store.write(work)).rejects.toThrow("no");
    expect(await count()).toBe(0);
    await store.write(async () => {
      await insert(store, "b");
      store.afterCommit(() => void effects.push("b"));
    });
    expect([await count(), effects]).toEqual([1, ["b"]]);
  });
});

test("a nested write joins the outer transaction: both are kept or neither", async () => {
  await withStore(async (store, count) => {
    const both = async (): Promise<void> => {
      await store.write(() => insert(store, "inner"));
      throw new Error("no");
    };
    await expect(store.write(both)).rejects.toThrow("no");
    expect(await count()).toBe(0);
  });
});

test("afterCommit runs after the outermost commit, at once outside of one, and cannot fail the write", async () => {
  await withStore(async (store) => {
    const effects: string[] = [];
    await store.write(async () => {
      await store.write(async () =>
        store.afterCommit(() => void effects.push(`in transaction: ${store.db.inTransaction}`)),
      );
      store.afterCommit(() => {
        throw new Error("effect");
      });
      expect(effects).toEqual([]);
    });
    store.afterCommit(() => void effects.push("at once"));
    expect(effects).toEqual(["in transaction: false", "at once"]);
  });
});

test("transactions come one after the other; a read or statement outside waits for them", async () => {
  await withStore(async (store, count) => {
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = store.write(async () => {
      await insert(store, "a");
      await gate.promise;
      await insert(store, "b");
      order.push("first");
    });
    const outside = [
      count().then((n) => order.push(`reads ${n}`)),
      store.write(() => insert(store, "a")).catch(() => order.push("second failed")),
      insert(store, "c").then(() => order.push("statement")),
      count().then((n) => order.push(`reads ${n}`)),
    ];
    await Bun.sleep(1);
    expect(order).toEqual([]);
    gate.resolve();
    await Promise.all([first, ...outside]);
    expect(order).toEqual(["first", "reads 2", "second failed", "statement", "reads 3"]);
  });
});

test("effects are done in the order of the commits, each before the next transaction, and may read", async () => {
  await withStore(async (store, count) => {
    const seen: string[] = [];
    const write = (name: string): Promise<void> =>
      store.write(async () => {
        seen.push(name);
        store.afterCommit(async () => void seen.push(`${name} read ${await count()}`));
        await insert(store, name);
      });
    await Promise.all([write("a"), write("b"), write("c")]);
    expect(seen).toEqual(["a", "a read 1", "b", "b read 2", "c", "c read 3"]);
  });
});

test("what a transaction has left behind is outside of it: a timer's write has a transaction of its own", async () => {
  await withStore(async (store, count) => {
    const later = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    await store.write(async () => {
      setTimeout(() => later.resolve(store.write(() => insert(store, "late").then(() => {}))), 1);
    });
    const failing = store.write(async () => {
      await insert(store, "rolled back");
      await gate.promise;
      throw new Error("no");
    });
    setTimeout(gate.resolve, 20);
    await expect(failing).rejects.toThrow("no");
    await later.promise;
    expect(await count()).toBe(1);
  });
});

test("closing waits for what has begun, and nothing is written after it", async () => {
  await withStore(async (store) => {
    const order: string[] = [];
    const first = store.write(async () => {
      await Bun.sleep(1);
      await insert(store, "a");
      order.push("written");
    });
    const closed = store[Symbol.asyncDispose]().then(() => order.push("closed"));
    const late = store.write(() => insert(store, "b"));
    await Promise.all([first, closed, expect(late).rejects.toThrow(), expect(store.all("SELECT 1")).rejects.toThrow()]);
    expect(order).toEqual(["written", "closed"]);
  });
});

test("undo data of a statement stays in memory: no other folder holds contents of the database", async () => {
  await withStore(async (store) => {
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
