import { until } from "../harness/until.ts";
import { type Behaviour, ENDS_WELL } from "./behaviour.ts";
import { inFaultWorld } from "./in-fault-world.ts";
import type { Verdict } from "./verdict.ts";

/** Long enough for all executors to start before the first one ends, even on a busy machine. */
const MAX_RUN_MS = 30_000;
const STEP_MS = 90_000;

/**
 * The coordinator is away while all runs end, and comes back with its database. The runner is killed in the middle of
 * the outage and restarted, so that two of its processes deliver the reports.
 */
export function outage(options: {
  readonly seconds: number;
  readonly runs: number;
  readonly onSecond?: (away: number) => void;
}): Promise<Verdict> {
  const runMs = Math.min(MAX_RUN_MS, options.seconds * 300);
  const behaviour = (i: number): Behaviour => ({
    ...ENDS_WELL,
    exitCode: i % 3 === 0 ? 3 : 0,
    sleepMs: runMs + i * 20,
  });
  return inFaultWorld(
    async (faults) => {
      faults.startRunner();
      for (let i = 0; i < options.runs; i++) await faults.submit(behaviour(i));
      await faults.recorded("begin", options.runs, STEP_MS);
      await faults.killCoordinator();
      const startedMs = performance.now();
      const away = (): number => Math.floor((performance.now() - startedMs) / 1_000);
      await faults.recorded("end", options.runs / 2, STEP_MS);
      await faults.killRunner();
      faults.startRunner();
      await faults.recorded("end", options.runs, STEP_MS);
      await until(
        "the outage to be over",
        () => (options.onSecond?.(away()), away() >= options.seconds),
        (options.seconds + 1) * 1_000,
      );
      await faults.startCoordinator();
    },
    { runnerArgs: ["--max-concurrent", "0"] },
  );
}
