import { expect, test } from "bun:test";
import { Backoff } from "../../src/async/backoff.ts";

/** The ceilings of the first `count` waits: the highest random number gives them. */
function ceilings(options: { baseMs?: number; capMs?: number }, count: number): number[] {
  const backoff = new Backoff({ ...options, random: () => 1 });
  return Array.from({ length: count }, () => backoff.nextMs());
}

test("Backoff: the ceiling doubles from the base up to the cap and stays there", () => {
  expect(ceilings({ baseMs: 100, capMs: 1_000 }, 7)).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
});

test("Backoff: the default base is half a second, the default cap half a minute", () => {
  expect(ceilings({}, 8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("Backoff: the ceiling stays finite after thousands of attempts", () => {
  expect(ceilings({}, 5_000).at(-1)).toBe(30_000);
});

test("Backoff: the jitter is full: waits cover the range from 0 to the ceiling", () => {
  const tenths = new Set<number>();
  for (let i = 0; i < 2_000; i++) {
    const waitMs = new Backoff({ baseMs: 1_000, capMs: 1_000 }).nextMs();
    expect(waitMs).toBeGreaterThanOrEqual(0);
    expect(waitMs).toBeLessThanOrEqual(1_000);
    tenths.add(Math.floor(waitMs / 100));
  }
  expect(tenths.size).toBe(10);
});

test("Backoff: the lowest random number gives a wait of 0 ms", () => {
  expect(new Backoff({ random: () => 0 }).nextMs()).toBe(0);
});

test("Backoff.reset: restarts at the base", () => {
  const backoff = new Backoff({ baseMs: 100, random: () => 1 });
  backoff.nextMs();
  backoff.nextMs();
  backoff.reset();
  expect(backoff.nextMs()).toBe(100);
});
