import { expect, test } from "bun:test";
import { ago, cost, counted, duration, tokens } from "../../../src/dashboard/parts/figures.ts";

test.each([
  [0, "0.0 s"],
  [9_940, "9.9 s"],
  [9_960, "10 s"],
  [59_400, "59 s"],
  [59_600, "1 min 00 s"],
  [185_000, "3 min 05 s"],
  [3_599_600, "1 h 0 min"],
  [47 * 3_600_000, "47 h 0 min"],
  [50 * 3_600_000, "2 d 2 h"],
])("duration(%d) is %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  [1_000, "now"],
  [30_000, "30 s ago"],
  [119_000, "1 min ago"],
  [2 * 3_600_000, "2 h ago"],
  [72 * 3_600_000, "3 d ago"],
  [-5_000, "now"],
])("ago: %d ms before", (ms, text) => {
  expect(ago(new Date(1e12 - ms).toISOString(), 1e12)).toBe(text);
});

test("ago is null for an invalid time; cost and tokens are empty for 0", () => {
  expect([ago(null, 0), ago("soon", 0), cost(0), tokens(0)]).toEqual([null, null, "", ""]);
});

test.each([
  [cost(0.0042), "$0.0042"],
  [cost(3.1), "$3.10"],
  [cost(1204.4), "$1,204"],
  [tokens(950), "950"],
  [tokens(12_340), "12.3 k"],
  [tokens(999_960), "1.0 M"],
  [counted(1, "child", "children"), "1 child"],
  [counted(1_200, "run"), "1,200 runs"],
])("%s", (shown, text) => {
  expect(shown).toBe(text);
});
