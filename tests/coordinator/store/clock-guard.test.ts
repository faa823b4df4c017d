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

function withStore(body: (store: SqliteStore) => void): void {
  using folder = tempFolder();
  const store = new SqliteStore(join(folder.path, "c.db"), silentLog);
  try {
    body(store);
  } finally {
    store.close();
  }
}

test("ClockGuard believes a clock that goes on as it did, and one that is set back", () => {
  withStore((store) => {
    expect(new ClockGuard(store, silentLog).isCredible()).toBe(true);
    jest.useFakeTimers();
    jest.setSystemTime(Date.now() + 3 * DAY_MS);
    expect(new ClockGuard(store, silentLog).isCredible()).toBe(true);
    jest.setSystemTime(Date.now() - 30 * DAY_MS);
    expect(new ClockGuard(store, silentLog).isCredible()).toBe(true);
  });
});

test("ClockGuard doubts a start 100 days ahead, also after another one, and warns once", () => {
  withStore((store) => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (line: string) => void warned.push(line) };
    expect(new ClockGuard(store, log).isCredible()).toBe(true);
    jest.useFakeTimers();
    jest.setSystemTime(Date.now() + 100 * DAY_MS);
    const guard = new ClockGuard(store, log);
    expect([guard.isCredible(), guard.isCredible()]).toEqual([false, false]);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain("100 days ahead");
    expect(new ClockGuard(store, log).isCredible()).toBe(false);
    jest.setSystemTime(Date.now() - 100 * DAY_MS);
    expect(new ClockGuard(store, log).isCredible()).toBe(true);
  });
});

test("ClockGuard doubts a jump while it lives", () => {
  withStore((store) => {
    const guard = new ClockGuard(store, silentLog);
    expect(guard.isCredible()).toBe(true);
    jest.useFakeTimers();
    jest.setSystemTime(Date.now() + 100 * DAY_MS);
    expect(guard.isCredible()).toBe(false);
  });
});
