import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { startCoordinator } from "../../../src/coordinator/coordinator.ts";
import { BackgroundCheck } from "../../../src/coordinator/store/background-check.ts";
import { checkDatabase } from "../../../src/coordinator/store/check-database.ts";
import { SqliteStore } from "../../../src/coordinator/store/sqlite-store.ts";
import { createLog, type Log, silentLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { until } from "../../harness/until.ts";

const selfCommand = [process.execPath, join(import.meta.dir, "../../../src/main.ts")];
const PAGE_BYTES = 4_096;

function recorded(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    log: createLog("coordinator", { format: "text", verbose: false, write: (line) => lines.push(line) }),
  };
}

/** A database too large for the check at the start. */
async function largeDatabase(folder: string): Promise<string> {
  // SQLite reads such a name in a URI only where it is quoted.
  const path = join(folder, "a b?c#d.sqlite");
  const store = new SqliteStore(path, silentLog);
  const insert = "INSERT INTO agents VALUES (?, ?, 'active', '', '')";
  await store.write(async () => {
    for (let i = 0; i < 1_000; i++) await store.run(insert, `agent-${i}`, "x".repeat(20_000));
  });
  await store[Symbol.asyncDispose]();
  return path;
}

/** Overwrites the header of a leaf of the table's tree, far behind everything that a start reads. */
function damage(path: string): void {
  using db = new Database(path, { readonly: true });
  const page = db
    .query<{ pageno: number }, []>(
      "SELECT pageno FROM dbstat WHERE name = 'agents' AND pagetype = 'leaf' LIMIT 1 OFFSET 50",
    )
    .get()?.pageno;
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(64, 0xff), 0, 64, ((page ?? 0) - 1) * PAGE_BYTES);
  closeSync(file);
}

const pagesOf = (store: SqliteStore): number | undefined =>
  store.db.query<{ wal_autocheckpoint: number }, []>("PRAGMA wal_autocheckpoint").get()?.wal_autocheckpoint;

test("BackgroundCheck: a large database is served while it is checked, and stays as it is on the disk", async () => {
  using folder = tempFolder();
  const path = await largeDatabase(folder.path);
  const { log, lines } = recorded();
  const store = new SqliteStore(path, log);
  expect(store.isChecked).toBe(false);
  using check = new BackgroundCheck({ store, path, selfCommand, log });
  const before = Bun.hash(readFileSync(path));
  // More than SQLite would otherwise move into the file.
  for (let i = 0; i < 100; i++) {
    await store.write(() =>
      store.run("INSERT INTO agents VALUES (?, ?, 'active', '', '')", `n-${i}`, "y".repeat(200_000)),
    );
  }
  expect(Bun.hash(readFileSync(path))).toBe(before);
  await check.done;
  expect(lines).toEqual([expect.stringMatching(/Checked the database in .*: no damage/)]);
  expect([store.health.fault, pagesOf(store)]).toEqual([null, 4_000]);
  await store[Symbol.asyncDispose]();
  expect(checkDatabase(path)).toEqual({ kind: "sound" });
});

test("BackgroundCheck: damage is one ERROR line and 503 for every call, and ends no process", async () => {
  using folder = tempFolder();
  const databasePath = await largeDatabase(folder.path);
  damage(databasePath);
  const { log, lines } = recorded();
  await using coordinator = await startCoordinator({ host: "127.0.0.1", port: 0, databasePath, selfCommand, log });
  const call = async (path: string, init?: RequestInit) => {
    const response = await fetch(coordinator.url + path, init);
    return { status: response.status, text: await response.text() };
  };
  const health = await until("the damage is found", async () => {
    const answer = await call("/health");
    return answer.status === 503 ? answer : null;
  });
  expect(health.text).toContain("restore a backup");
  const create = { method: "POST", body: JSON.stringify({ type: "start_session", prompt: "do it" }) };
  for (const answer of [await call("/runs"), await call("/runs", create), await call("/runners")]) {
    expect(answer).toMatchObject({ status: 503, text: expect.stringContaining("is damaged") });
  }
  expect(lines.filter((line) => line.includes("[ERROR]"))).toEqual([
    expect.stringContaining("is damaged; stop the coordinator"),
  ]);
});

test("BackgroundCheck: a check that cannot be made is a warning", async () => {
  using folder = tempFolder();
  const path = await largeDatabase(folder.path);
  const { log, lines } = recorded();
  const store = new SqliteStore(path, log);
  for (const selfCommand of [["/no/such/program"], ["/bin/false"]]) {
    await new BackgroundCheck({ store, path, selfCommand, log }).done;
  }
  expect(lines).toEqual([
    expect.stringMatching(/\[WARNING\].*was not checked: .*agent-runner doctor/),
    expect.stringMatching(/\[WARNING\].*was not checked: its process ended with code 1/),
  ]);
  expect([store.health.fault, pagesOf(store)]).toEqual([null, 4_000]);
  await store[Symbol.asyncDispose]();
});

test("BackgroundCheck: disposing it ends its process, and the store may be closed", async () => {
  using folder = tempFolder();
  const path = await largeDatabase(folder.path);
  const { log, lines } = recorded();
  const store = new SqliteStore(path, log);
  const check = new BackgroundCheck({ store, path, selfCommand: ["/bin/sleep", "60"], log });
  check[Symbol.dispose]();
  await store[Symbol.asyncDispose]();
  await check.done;
  expect(lines).toEqual([]);
});

test("checkDatabase: a database with a WAL, one in use, and one that does not exist", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "c.sqlite");
  expect(checkDatabase(path)).toMatchObject({ kind: "unchecked", busy: false });
  const store = new SqliteStore(path, silentLog);
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
  expect(checkDatabase(path)).toMatchObject({ kind: "unchecked", busy: true });
  await store[Symbol.asyncDispose]();
  expect(checkDatabase(path)).toEqual({ kind: "sound" });
});
