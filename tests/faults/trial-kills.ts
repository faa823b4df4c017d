import { groupOf, parentOf, processesWith } from "../harness/processes.ts";
import { randomBehaviour } from "./behaviour.ts";
import { FaultWorld } from "./fault-world.ts";
import { SeededRandom } from "./seeded-random.ts";
import { judge, type Verdict } from "./verdict.ts";

const SETTLE_MS = 80_000;

/** The executor and its shim; what the executor itself starts comes and goes. */
function lastingPidsOf(runId: string): number[] {
  return processesWith("AGENT_RUN_ID", runId).filter((pid) => [pid, parentOf(pid)].includes(groupOf(pid)));
}

/** The runner is killed so many times while so many runs are in flight; the same processes have to live on. */
export async function killInFlight(options: { readonly kills: number; readonly runs: number; readonly seed: number }): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  const faults = await FaultWorld.start();
  const runMs = 2_000 + options.kills * 400;
  faults.startRunner();
  for (let i = 0; i < options.runs; i++) await faults.submit({ exitCode: random.chance(0.5) ? 3 : 0, sleepMs: runMs, isStubborn: false, leaves: false, talks: false });
  await faults.told("begin", options.runs);
  const pids = (): number[] => faults.runs.flatMap(({ runId }) => lastingPidsOf(runId));
  const before = pids();
  for (let i = 0; i < options.kills; i++) {
    await Bun.sleep(random.whole(0, 300));
    await faults.killRunner();
    faults.startRunner();
  }
  const after = pids();
  const verdict = await judge(faults, SETTLE_MS);
  if (before.length === 2 * options.runs && before.join() === after.join()) return verdict;
  const complaint = `executors (with their shims) before the kills: ${before.join()}; after: ${after.join()}`;
  return { ...verdict, lost: verdict.lost + 1, complaints: [...verdict.complaints, complaint] };
}

/** The runner is killed every one to three seconds under a stream of runs, and started again at once. */
export async function killUnderStream(options: { readonly seconds: number; readonly seed: number }): Promise<Verdict & { readonly kills: number }> {
  const random = new SeededRandom(options.seed);
  const faults = await FaultWorld.start();
  faults.startRunner();
  const endMs = performance.now() + options.seconds * 1_000;
  let kills = 0;
  let nextKillMs = performance.now() + random.whole(1_000, 3_000);
  while (performance.now() < endMs) {
    await faults.submit(randomBehaviour(random, 1_500));
    await Bun.sleep(random.whole(20, 200));
    if (performance.now() < nextKillMs) continue;
    await faults.killRunner();
    faults.startRunner();
    kills++;
    nextKillMs = performance.now() + random.whole(1_000, 3_000);
  }
  return { ...(await judge(faults, SETTLE_MS)), kills };
}
