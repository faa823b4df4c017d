import { expect, test } from "bun:test";
import { join } from "node:path";
import { Store } from "../../src/coordinator/store.ts";
import { silentLog } from "../../src/log.ts";
import { tempFolder } from "../harness/temp-folder.ts";

function withStore(body: (store: Store, count: () => number) => void): void {
  using folder = tempFolder();
  const store = new Store(join(folder.path, "c.db"), silentLog);
  const count = (): number => store.db.query<{ n: number }, []>("SELECT count(*) AS n FROM agents").get()?.n ?? -1;
  try {
    body(store, count);
  } finally {
    store.close();
  }
}

const insert = (store: Store, name: string): void =>
  void store.db.query("INSERT INTO agents VALUES (?, '{}', 'active', '', '')").run(name);

test("write keeps nothing of work that throws, drops its effects, and stays usable", () => {
  withStore((store, count) => {
    const told: string[] = [];
    const work = (): void => {
      insert(store, "a");
      store.afterCommit(() => told.push("a"));
      throw new Error("no");
    };
    expect(() => store.write(work)).toThrow("no");
    expect(count()).toBe(0);
    store.write(() => {
      insert(store, "b");
      store.afterCommit(() => told.push("b"));
    });
    expect([count(), told]).toEqual([1, ["b"]]);
  });
});

test("write inside a write is part of it: both are kept or neither", () => {
  withStore((store, count) => {
    const both = (): void => {
      store.write(() => insert(store, "inner"));
      throw new Error("no");
    };
    expect(() => store.write(both)).toThrow("no");
    expect(count()).toBe(0);
  });
});

test("afterCommit runs after the outermost commit, at once without one, and cannot fail the write", () => {
  withStore((store) => {
    const told: string[] = [];
    store.write(() => {
      store.write(() => store.afterCommit(() => told.push(`in transaction: ${store.db.inTransaction}`)));
      store.afterCommit(() => {
        throw new Error("effect");
      });
      expect(told).toEqual([]);
    });
    store.afterCommit(() => told.push("at once"));
    expect(told).toEqual(["in transaction: false", "at once"]);
  });
});

test("what one statement would undo is kept in memory: the database's contents are in no other folder", () => {
  withStore((store) => {
    expect(store.db.query("PRAGMA temp_store").get()).toEqual({ temp_store: 2 });
  });
});
