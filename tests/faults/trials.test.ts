import { expect, test } from "bun:test";
import { TRIALS } from "./trials.ts";

const TRIAL_MS = 600_000;

for (const { name, fault, run } of TRIALS) {
  test(
    `${name} (${fault}): nothing lost, nothing duplicated, no leftovers`,
    async () => {
      const { verdict, notes } = await run({ isQuick: true, seed: null, onProgress: () => {} });
      for (const note of notes) if (note.startsWith("not tried")) console.log(note);
      expect(verdict.complaints).toEqual([]);
      expect([verdict.lost, verdict.duplicated, verdict.leftBehind]).toEqual([0, 0, 0]);
      if (!notes.some((note) => note.startsWith("not tried: "))) expect(verdict.tried).toBeGreaterThan(0);
    },
    { timeout: TRIAL_MS },
  );
}
