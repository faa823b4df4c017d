import { inMachines } from "./in-machines.ts";
import { Load } from "./load.ts";
import { SeededRandom } from "./seeded-random.ts";
import { executedTwice, leftoversOf, settled, untruth } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

const STEP_MS = 60_000;

/**
 * A backup is made at a random moment under load and restored at a later one. The runs that it knows must end as their
 * executors did, and none may be executed again. Runs that it does not know are gone; their executors must be ended.
 */
export function restoredBackup(options: { readonly machines: number; readonly seed: number }): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  return inMachines({}, async (machines, found) => {
    const runners = Array.from({ length: options.machines }, (_, index) => machines.machine(String(index)));
    for (const runner of runners) await runner.line(/waiting for runs/, STEP_MS);
    const load = new Load(machines, { random, pauseMs: 120, workMs: 2_500 });
    await Bun.sleep(random.whole(200, 3_000));
    const inBackup = [...load.created];
    await machines.backUp();
    await Bun.sleep(random.whole(200, 5_000));
    await machines.restore();
    await Bun.sleep(random.whole(0, 2_000));
    await load.stop();
    const runs = await settled(machines);
    const ledger = machines.ledger();
    found.tried = runs.length;
    for (const run of runs) {
      const wrong = untruth(run, ledger, { isLost: false, isStopped: false });
      if (wrong !== null) found.lost.push(wrong);
    }
    const known = new Set(runs.map(({ run_id }) => run_id));
    for (const runId of inBackup) if (!known.has(runId)) found.lost.push(`run ${runId} is gone`);
    found.duplicated.push(...executedTwice(ledger));
    found.leftBehind.push(...(await leftoversOf(ledger.begun.keys())));
  });
}
