import { groupOf, parentOf, processesWith } from "../harness/processes.ts";
import { ENDS_WELL, randomBehaviour } from "./behaviour.ts";
import { inFaultWorld } from "./in-fault-world.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { Verdict } from "./verdict.ts";

const START_MS = 60_000;

/** The pids of the executor and its shim, without the processes that the executor starts and ends. */
function lastingPidsOf(runId: string): number[] {
  return processesWith("AGENT_RUN_ID", runId).filter((pid) => [pid, parentOf(pid)].includes(groupOf(pid)));
}

/** Kills the runner repeatedly while runs are in flight. The executors must keep their processes. */
export async function killInFlight(options: {
  readonly kills: number;
  readonly runs: number;
  readonly seed: number;
}): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  const pids = { before: "", after: "" };
  let count = 0;
  const verdict = await inFaultWorld(async (faults) => {
    faults.startRunner();
    for (let i = 0; i < options.runs; i++)
      await faults.submit({ ...ENDS_WELL, exitCode: random.chance(0.5) ? 3 : 0, waits: true });
    await faults.recorded("begin", options.runs, START_MS);
    const read = (): number[] => faults.runs.flatMap(({ runId }) => lastingPidsOf(runId));
    const before = read();
    count = before.length;
    pids.before = before.join();
    for (let i = 0; i < options.kills; i++) {
      await Bun.sleep(random.whole(0, 300));
      await faults.killRunner();
      faults.startRunner();
    }
    pids.after = read().join();
    await Bun.write(faults.world.path("release"), "");
  });
  if (count === 2 * options.runs && pids.before === pids.after) return verdict;
  const complaint = `executors and shims before the kills: ${pids.before}; after: ${pids.after}`;
  return { ...verdict, lost: verdict.lost + 1, complaints: [complaint, ...verdict.complaints] };
}

/** Kills the runner every one to three seconds under a stream of runs, and restarts it at once. */
export async function killUnderStream(options: {
  readonly seconds: number;
  readonly seed: number;
  readonly onKill?: (kills: number) => void;
}): Promise<Verdict & { readonly kills: number }> {
  const random = new SeededRandom(options.seed);
  let kills = 0;
  const verdict = await inFaultWorld(async (faults) => {
    faults.startRunner();
    const endMs = performance.now() + options.seconds * 1_000;
    let nextKillMs = performance.now() + random.whole(1_000, 3_000);
    while (performance.now() < endMs) {
      await faults.submit(randomBehaviour(random, 1_500));
      await Bun.sleep(random.whole(20, 200));
      if (performance.now() < nextKillMs) continue;
      await faults.killRunner();
      faults.startRunner();
      options.onKill?.(++kills);
      nextKillMs = performance.now() + random.whole(1_000, 3_000);
    }
  });
  return { ...verdict, kills };
}
