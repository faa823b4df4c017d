import { expect, test } from "bun:test";
import { testTally } from "../../scripts/test-tally.ts";

const closing = (pass: number, fail: number): string =>
  `\n ${pass} pass\n ${fail} fail\n 56 expect() calls\nRan 29 tests across 1 file. [46.00ms]\n`;

test("testTally reads the last lines, not the output of a test", () => {
  expect(testTally(0, ` 99 pass\n 98 fail\nnoise 7 pass\n${closing(28, 0)}`)).toEqual({ passed: 28, failed: 0 });
  expect(testTally(1, closing(28, 3))).toEqual({ passed: 28, failed: 3 });
});

test("testTally counts one failure for a bad exit code without a failed test", () => {
  expect(testTally(1, closing(28, 0))).toEqual({ passed: 28, failed: 1 });
  expect(testTally(134, "panic: the test runner broke off")).toEqual({ passed: 0, failed: 1 });
});

test("testTally counts one failure if no test ran", () => {
  expect(testTally(0, "")).toEqual({ passed: 0, failed: 1 });
});
