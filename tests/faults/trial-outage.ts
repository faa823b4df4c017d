import { until } from "../harness/until.ts";
import { type Behaviour, ENDS_WELL } from "./behaviour.ts";
import { inFaultWorld } from "./in-fault-world.ts";
import type { Verdict } from "./verdict.ts";

/** Long enough that all have begun before the first ends, on a busy machine too. */
const LONGEST_RUN_MS = 30_000;
const STEP_MS = 90_000;

/**
 * The coordinator is away while all the runs end, and comes back with its database. The runner is killed in the middle of the outage and
 * started again, so that the outcomes come from two of its starts.
 */
export function outage(options: {
  readonly seconds: number;
  readonly runs: number;
  readonly onSecond?: (away: number) => void;
}): Promise<Verdict> {
  const runMs = Math.min(LONGEST_RUN_MS, options.seconds * 300);
  const behaviour = (i: number): Behaviour => ({
    ...ENDS_WELL,
    exitCode: i % 3 === 0 ? 3 : 0,
    sleepMs: runMs + i * 20,
  });
  return inFaultWorld(
    async (faults) => {
      faults.startRunner();
      for (let i = 0; i < options.runs; i++) await faults.submit(behaviour(i));
      await faults.told("begin", options.runs, STEP_MS);
      await faults.killCoordinator();
      const beganMs = performance.now();
      const away = (): number => Math.floor((performance.now() - beganMs) / 1_000);
      await faults.told("end", options.runs / 2, STEP_MS);
      await faults.killRunner();
      faults.startRunner();
      await faults.told("end", options.runs, STEP_MS);
      await until(
        "the outage is over",
        () => (options.onSecond?.(away()), away() >= options.seconds),
        (options.seconds + 1) * 1_000,
      );
      await faults.startCoordinator();
    },
    { runnerArgs: ["--max-concurrent", "0"] },
  );
}
