import { describe, expect, test } from "bun:test";
import { explore } from "./explore.ts";
import type { Faults } from "./world.ts";

/** Faults that may happen, and how many steps deep every order of events is tried. `bun run faults` goes deeper. */
const CASES: readonly (readonly [Partial<Faults>, depth: number])[] = [
  [{}, 16],
  [{ lose: 1, repeat: 1 }, 9],
  [{ kill: 1, lease: 1 }, 9],
  [{ wipe: 1, stop: 1 }, 9],
  [{ wipe: 1, lease: 1 }, 9],
  [{ giveUp: 1, kill: 1 }, 9],
  [{ restore: 1 }, 12],
  [{ restore: 1, kill: 1 }, 9],
  [{ restore: 1, lose: 1 }, 9],
];

describe("model: the run ends once, truly, is executed at most once, and nothing runs on", () => {
  test.each(CASES)("with %j in every order of %i steps", (faults, depth) => {
    const { worlds, fault } = explore(faults, depth);
    expect(fault).toBeNull();
    expect(worlds).toBeGreaterThan(1_000);
  });
});
