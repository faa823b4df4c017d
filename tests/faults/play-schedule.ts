import { Semaphore } from "../../src/async/semaphore.ts";
import { NO_FAULT, randomFault } from "./fault.ts";
import type { FaultWorld, SubmittedRun } from "./fault-world.ts";
import { inFaultWorld } from "./in-fault-world.ts";
import { type Action, planSchedule } from "./schedule.ts";
import { SeededRandom } from "./seeded-random.ts";
import { sum, type Verdict } from "./verdict.ts";

/** Plays several schedules at a time, each in its own world. Calls `onVerdict` as each ends. */
export async function playSchedules(
  seeds: readonly number[],
  options: { readonly atOnce: number; readonly onVerdict?: (seed: number, verdict: Verdict) => void },
): Promise<Verdict> {
  const slots = new Semaphore(options.atOnce);
  const play = async (seed: number): Promise<Verdict> => {
    const verdict = await playSchedule(seed);
    options.onVerdict?.(seed, verdict);
    return verdict;
  };
  return sum(await Promise.all(seeds.map((seed) => slots.hold(() => play(seed)))));
}

/** Plays one schedule: its steps under faults, then calm, then the verdict. Complaints name the seed for a replay. */
async function playSchedule(seed: number): Promise<Verdict> {
  const schedule = planSchedule(seed);
  const verdict = await inFaultWorld(async (faults) => {
    const random = new SeededRandom(~seed);
    faults.proxy.inject(() => (random.chance(schedule.faultShare) ? randomFault(random) : NO_FAULT));
    faults.startRunner();
    for (const { afterMs, action } of schedule.steps) {
      await Bun.sleep(afterMs);
      await take(faults, action);
    }
    await calmDown(faults);
  });
  return { ...verdict, complaints: verdict.complaints.map((complaint) => `seed ${seed}: ${complaint}`) };
}

async function take(faults: FaultWorld, action: Action): Promise<void> {
  switch (action.do) {
    case "submit":
      if (!faults.isCoordinatorUp) await faults.startCoordinator();
      await faults.submit(action.behaviour);
      return;
    case "stop": {
      const run: SubmittedRun | undefined = faults.runs[action.run];
      if (run !== undefined && faults.isCoordinatorUp) await faults.stop(run);
      return;
    }
    case "kill-runner":
      return faults.killRunner();
    case "start-runner":
      if (!faults.isRunnerUp) faults.startRunner();
      return;
    case "kill-coordinator":
      return faults.killCoordinator();
    case "start-coordinator":
      if (!faults.isCoordinatorUp) await faults.startCoordinator();
  }
}

/** Ends all faults, and stops the runs that would never end by themselves. */
async function calmDown(faults: FaultWorld): Promise<void> {
  faults.proxy.calm();
  if (!faults.isCoordinatorUp) await faults.startCoordinator();
  if (!faults.isRunnerUp) faults.startRunner();
  for (const run of faults.runs) if (run.behaviour.isStubborn && !run.isStopRequested) await faults.stop(run);
}
