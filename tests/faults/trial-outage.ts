import { until } from "../harness/until.ts";
import { ENDS_WELL } from "./behaviour.ts";
import { FaultWorld } from "./fault-world.ts";
import { judge, type Verdict } from "./verdict.ts";

const SETTLE_MS = 80_000;
const RUN_MS = 3_000;

/**
 * The coordinator is away while all the runs end, and comes back with its database. The runner is killed in the middle of the outage and
 * started again, so that the outcomes come from two of its starts.
 */
export async function outage(options: { readonly seconds: number; readonly runs: number }): Promise<Verdict> {
  const faults = await FaultWorld.start({ runnerArgs: ["--max-concurrent", "0"] });
  faults.startRunner();
  const behaviour = (i: number): Parameters<FaultWorld["submit"]>[0] => ({ ...ENDS_WELL, exitCode: i % 3 === 0 ? 3 : 0, sleepMs: RUN_MS + i * 20 });
  for (let i = 0; i < options.runs; i++) await faults.submit(behaviour(i));
  await faults.told("begin", options.runs, 30_000);
  await faults.killCoordinator();
  const beganMs = performance.now();
  await faults.told("end", options.runs / 2, 30_000);
  await faults.killRunner();
  faults.startRunner();
  await faults.told("end", options.runs, 30_000);
  await until("the outage is over", () => performance.now() - beganMs >= options.seconds * 1_000, options.seconds * 1_000 + 1_000);
  await faults.startCoordinator();
  return judge(faults, SETTLE_MS);
}
