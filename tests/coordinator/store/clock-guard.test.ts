import { afterEach, expect, jest, test } from "bun:test";
import { join } from "node:path";
import { ClockGuard } from "../../../src/coordinator/store/clock-guard.ts";
import { SqliteStore } from "../../../src/coordinator/store/sqlite-store.ts";
import { silentLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const DAY_MS = 86_400_000;

afterEach(() => {
  jest.useRealTimers();
});

async function withStore(body: (store: SqliteStore) => Promise<void>): Promise<void> {
  using folder = tempFolder();
  await using store = new SqliteStore(join(folder.path, "c.db"), silentLog);
  await body(store);
}

test("ClockGuard believes a clock that goes on as it did, and one that is set back", async () => {
  await withStore(async (store) => {
    expect(await (await ClockGuard.open(store, silentLog)).isCredible()).toBe(true);
    jest.useFakeTimers();
    jest.setSystemTime(Date.now() + 3 * DAY_MS);
    expect(await (await ClockGuard.open(store, silentLog)).isCredible()).toBe(true);
    jest.setSystemTime(Date.now() - 30 * DAY_MS);
    expect(await (await ClockGuard.open(store, silentLog)).isCredible()).toBe(true);
  });
});

test("ClockGuard doubts a start 100 days ahead, also after another one, and warns once", async () => {
  await withStore(async (store) => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (line: string) => void warned.push(line) };
    expect(await (await ClockGuard.open(store, log)).isCredible()).toBe(true);
    jest.useFakeTimers();
    jest.setSystemTime(Date.now() + 100 * DAY_MS);
    const guard = await ClockGuard.open(store, log);
    expect([await guard.isCredible(), await guard.isCredible()]).toEqual([false, false]);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain("100 days ahead");
    expect(await (await ClockGuard.open(store, log)).isCredible()).toBe(false);
    jest.setSystemTime(Date.now() - 100 * DAY_MS);
    expect(await (await ClockGuard.open(store, log)).isCredible()).toBe(true);
  });
});

test("ClockGuard doubts a jump while it lives", async () => {
  await withStore(async (store) => {
    const guard = await ClockGuard.open(store, silentLog);
    expect(await guard.isCredible()).toBe(true);
    jest.useFakeTimers();
    jest.setSystemTime(Date.now() + 100 * DAY_MS);
    expect(await guard.isCredible()).toBe(false);
  });
});
