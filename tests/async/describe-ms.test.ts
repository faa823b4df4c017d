import { expect, test } from "bun:test";
import { describeMs } from "../../src/async/describe-ms.ts";

test.each([
  [0, "0 ms"],
  [850, "850 ms"],
  [1_000, "1 s"],
  [12_345, "12.3 s"],
  [60_000, "1 min"],
  [310_000, "5 min 10 s"],
  [3_600_000, "1 h"],
  [7_500_000, "2 h 5 min"],
])("describeMs: %i ms is %s", (ms, words) => {
  expect(describeMs(ms)).toBe(words);
});
