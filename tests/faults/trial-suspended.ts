import { until } from "../harness/until.ts";
import { ENDS_WELL, promptOf } from "./behaviour.ts";
import { type Found, inMachines } from "./in-machines.ts";
import type { ListedRun, Machines } from "./machines.ts";
import { SeededRandom } from "./seeded-random.ts";
import { executedTwice, isOpen, leftoversOf, settled, untruth } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

const STEP_MS = 60_000;
const LOST_AFTER = ["--lost-after", "2s"];
/** A runner is stale after 120 s. */
const STALE_MS = 130_000;

export interface SuspendedOptions {
  readonly rounds: number;
  readonly runs: number;
  /** Whether half of the runs are stopped meanwhile. */
  readonly stops: boolean;
  readonly seed: number;
  readonly onRound?: () => void;
}

/** A machine sleeps until its runner has been given up, again and again. */
export function suspendedPastLost({ rounds, runs, stops, seed, onRound }: SuspendedOptions): Promise<Verdict> {
  const random = new SeededRandom(seed);
  return inMachines({ args: LOST_AFTER }, async (machines, found) => {
    const runner = machines.machine("0");
    for (let round = 0; round < rounds; round++) {
      const runIds = await begin(machines, runs, random);
      await Bun.sleep(random.whole(0, 500));
      runner.signal("SIGSTOP");
      const asleep = (await listed(machines, runIds)).filter(isOpen).map(({ run_id }) => run_id);
      const stopped = stops ? asleep.filter((_, index) => index % 2 === 0) : [];
      for (const runId of stopped) await machines.api.stop(runId);
      await expectStopping(machines, stopped, found);
      await until("the runner to be given up", async () => !(await listed(machines, asleep)).some(isOpen), STEP_MS);
      await Bun.sleep(random.whole(0, 1_500));
      runner.signal("SIGCONT");
      await judge(machines, runIds, { isLost: (run) => asleep.includes(run.run_id), stopped: [] }, found);
      await until(
        () => `a note on each of ${asleep.join(", ")}`,
        async () => (await listed(machines, asleep)).every(({ note }) => note !== null),
        STEP_MS,
      );
      onRound?.();
    }
    found.duplicated.push(...executedTwice(machines.ledger()));
  });
}

/** A machine sleeps until its runner is stale, but not until it is given up: what was not stopped goes on. */
export function suspendedPastStale({ runs, stops, seed }: Omit<SuspendedOptions, "rounds">): Promise<Verdict> {
  const random = new SeededRandom(seed);
  return inMachines({}, async (machines, found) => {
    const runner = machines.machine("0");
    const runIds = await begin(machines, runs, random, STALE_MS);
    runner.signal("SIGSTOP");
    const asleep = (await listed(machines, runIds)).filter(isOpen).map(({ run_id }) => run_id);
    const stopped = stops ? asleep.filter((_, index) => index % 2 === 0) : [];
    for (const runId of stopped) await machines.api.stop(runId);
    await Bun.sleep(STALE_MS);
    await expectStopping(machines, stopped, found);
    runner.signal("SIGCONT");
    await judge(machines, runIds, { isLost: () => false, stopped }, found);
    found.duplicated.push(...executedTwice(machines.ledger()));
  });
}

/** Runs of which some end while the runner sleeps and others would end long after it. */
async function begin(machines: Machines, count: number, random: SeededRandom, longMs = 600_000): Promise<string[]> {
  const runIds: string[] = [];
  for (let i = 0; i < count; i++) {
    const sleepMs = i % 4 < 2 ? longMs : random.whole(500, 3_000);
    runIds.push((await machines.api.submit(promptOf({ ...ENDS_WELL, sleepMs, exitCode: i % 3 === 0 ? 3 : 0 }))).run_id);
  }
  await until("all executors to begin", () => runIds.every((runId) => machines.ledger().begun.has(runId)), STEP_MS);
  return runIds;
}

async function listed(machines: Machines, runIds: readonly string[]): Promise<ListedRun[]> {
  return (await machines.runs()).filter(({ run_id }) => runIds.includes(run_id));
}

/** Nobody can know yet that these runs are stopped. */
async function expectStopping(machines: Machines, runIds: readonly string[], found: Found): Promise<void> {
  for (const { run_id, status } of await listed(machines, runIds))
    if (status !== "stopping" && status !== "failed")
      found.lost.push(`run ${run_id} is ${status} while its runner sleeps`);
}

async function judge(
  machines: Machines,
  runIds: readonly string[],
  { isLost, stopped }: { isLost: (run: ListedRun) => boolean; stopped: readonly string[] },
  found: Found,
): Promise<void> {
  await settled(machines);
  found.leftBehind.push(...(await leftoversOf(runIds)));
  const ledger = machines.ledger();
  for (const run of await listed(machines, runIds)) {
    found.tried++;
    const wrong = untruth(run, ledger, { isLost: isLost(run), isStopped: stopped.includes(run.run_id) });
    if (wrong !== null) found.lost.push(wrong);
  }
}
