import { expect, test } from "bun:test";
import { playSchedules } from "./play-schedule.ts";

const SCHEDULES = 40;

test(
  `${SCHEDULES} random fault schedules: every run has one report and a true one, is executed once, and nothing is left`,
  async () => {
    // The same in every gate; a complaint names its seed.
    const seeds = Array.from({ length: SCHEDULES }, (_, i) => 1 + i);
    const { complaints, tried } = await playSchedules(seeds, { atOnce: 8 });
    expect(complaints).toEqual([]);
    expect(tried).toBeGreaterThanOrEqual(3 * SCHEDULES);
  },
  { timeout: 300_000 },
);
