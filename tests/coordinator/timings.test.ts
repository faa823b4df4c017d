import { expect, test } from "bun:test";
import { DEFAULT_TIMINGS } from "../../src/coordinator/store/timings.ts";

test("the coordinator keeps idle connections for longer than the 60 s of proxies", () => {
  expect(DEFAULT_TIMINGS.idleTimeoutSeconds).toBeGreaterThan(60);
  // The longest time that Bun takes.
  expect(DEFAULT_TIMINGS.idleTimeoutSeconds).toBeLessThan(256);
});
