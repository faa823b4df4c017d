import { expect, test } from "bun:test";
import { playSchedules } from "./play-schedule.ts";

const SCHEDULES = 40;

test(
  `${SCHEDULES} random fault schedules: every run has one report and a true one, is executed once, and nothing is left`,
  async () => {
    const first = Math.floor(Math.random() * 1_000_000);
    console.log(`seeds ${first} to ${first + SCHEDULES - 1}; again: bun run faults --only schedules --seed ${first} --schedules ${SCHEDULES}`);
    const seeds = Array.from({ length: SCHEDULES }, (_, i) => first + i);
    const { complaints, tried } = await playSchedules(seeds, { atOnce: 8 });
    expect(complaints).toEqual([]);
    expect(tried).toBeGreaterThanOrEqual(3 * SCHEDULES);
  },
  { timeout: 300_000 },
);
