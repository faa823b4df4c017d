import { expect, test } from "bun:test";
import { barsOf } from "../../../src/dashboard/statistics/bars.ts";

const hour = (at: string, completed: number, failed = 0, stopped = 0) => ({ hour: at, completed, failed, stopped });

test("barsOf: one bar per hour, also for hours without runs", () => {
  const bars = barsOf(
    [hour("2026-11-24T07:00:00.000Z", 3, 1), hour("2026-11-24T05:00:00.000Z", 1)],
    "2026-11-24T05:00:00.000Z",
    3,
  );
  expect(bars.map(({ from, total }) => `${from.slice(11, 13)}:${total}`)).toEqual(["05:1", "06:0", "07:4", "08:0"]);
  expect(bars[2]).toMatchObject({ completed: 3, failed: 1, stopped: 0, isDay: false });
});

test("barsOf: one bar per day for long periods", () => {
  const bars = barsOf(
    [hour("2026-11-23T01:00:00.000Z", 1), hour("2026-11-23T23:00:00.000Z", 2, 0, 4)],
    "2026-11-10T08:00:00.000Z",
    336,
  );
  expect(bars).toHaveLength(15);
  expect(bars.filter(({ total }) => total > 0)).toMatchObject([
    { from: "2026-11-23T00:00:00.000Z", completed: 3, stopped: 4, total: 7, isDay: true },
  ]);
});
