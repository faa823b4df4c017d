import { expect, test } from "bun:test";
import { exitCodeOf } from "../../../src/commands/wiring/run-runner.ts";

test.each([
  ["interrupted", [], 0],
  ["deregistered", [], 0],
  ["interrupted", ["run_0123456789ab"], 1],
  ["superseded", [], 1],
  ["offline", [], 4],
] as const)("exitCodeOf: %s with the unreported runs %j is %i", (reason, unreported, code) => {
  expect(exitCodeOf({ reason, unreported })).toBe(code);
});
