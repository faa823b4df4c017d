import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isShortage, requireRoom } from "../../src/process/shortage.ts";
import { smallDisk } from "../harness/small-disk.ts";
import { tempFolder } from "../harness/temp-folder.ts";

test.each(["ENOSPC", "EMFILE", "ENOMEM", "EAGAIN", "SQLITE_FULL", "SQLITE_IOERR_WRITE"])(
  "isShortage: true for %s, also as a cause",
  (code) => {
    const error = Object.assign(new Error("x"), { code });
    expect(isShortage(error)).toBe(true);
    expect(isShortage(new Error("y", { cause: error }))).toBe(true);
  },
);

test.each(["ENOENT", "EACCES", "SQLITE_CORRUPT", "SQLITE_BUSY"])("isShortage: false for %s", (code) => {
  expect(isShortage(Object.assign(new Error("x"), { code }))).toBe(false);
});

test("requireRoom: leaves no file in the folder", async () => {
  using folder = tempFolder();
  await requireRoom(folder.path);
  expect(readdirSync(folder.path)).toEqual([]);
});

test.skipIf(!smallDisk.isPossible)("requireRoom: reports a disk that is full or nearly full", async () => {
  using disk = smallDisk.mount(24);
  writeFileSync(join(disk.path, "ballast"), Buffer.alloc(12 * 1024 * 1024));
  await expect(requireRoom(disk.path)).rejects.toThrow(/only 1\d MiB of disk are left/);
  expect(() => writeFileSync(join(disk.path, "more"), Buffer.alloc(24 * 1024 * 1024))).toThrow("ENOSPC");
  const fault: unknown = await requireRoom(disk.path).catch((error: unknown) => error);
  expect(isShortage(fault)).toBe(true);
});

test.skipIf(!smallDisk.isPossible)("isShortage: true for a database's error on a full disk", () => {
  using disk = smallDisk.mount(1);
  using db = new Database(join(disk.path, "db"), { create: true });
  db.run("PRAGMA journal_mode = WAL");
  db.run("CREATE TABLE t (a TEXT)");
  const fill = (): void => {
    for (let i = 0; i < 1_000; i++) db.query("INSERT INTO t VALUES (?)").run("x".repeat(10_000));
  };
  const fault = ((): unknown => {
    try {
      return fill();
    } catch (error) {
      return error;
    }
  })();
  expect(isShortage(fault)).toBe(true);
});

test("requireRoom: reports a missing folder", async () => {
  using folder = tempFolder();
  await expect(requireRoom(join(folder.path, "missing"))).rejects.toThrow("ENOENT");
});
