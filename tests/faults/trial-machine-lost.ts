import { inMachines } from "./in-machines.ts";
import { Load } from "./load.ts";
import type { ListedRun, Machines } from "./machines.ts";
import { SeededRandom } from "./seeded-random.ts";
import { executedTwice, leftoversOf, settled, untruth } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

const LOST_AFTER = ["--lost-after", "2s"];

interface Loss {
  readonly beganMs: number;
  readonly endedMs: number;
}

/**
 * Two machines work under load. One of them loses its runner, its executors and its state folder at a random moment.
 * It comes back with its identity, or a machine with another one replaces it.
 */
export function machineLost(options: {
  readonly losses: number;
  readonly returns: boolean;
  readonly seed: number;
  readonly onLoss?: () => void;
}): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  return inMachines({ args: LOST_AFTER }, async (machines, found) => {
    const parents = await sessionsOf(machines, 3);
    const names = ["0", "1"];
    const losses: Loss[] = [];
    const more = (): Readonly<Record<string, unknown>> => ({
      ...(random.chance(0.5) ? { max_attempts: 3, retry_delay_seconds: 0.1 } : {}),
      ...(random.chance(0.3)
        ? { parent_session_id: parents[random.whole(0, 2)], execution_mode: "async_callback" }
        : {}),
    });
    for (const name of names) machines.machine(name);
    const load = new Load(machines, { random, pauseMs: 150, workMs: 1_500, more });
    for (let loss = 0; loss < options.losses; loss++) {
      await Bun.sleep(random.whole(300, 2_500));
      const at = random.whole(0, names.length - 1);
      const name = names[at] ?? "";
      const beganMs = Date.now();
      await machines.loseMachine(name);
      losses.push({ beganMs, endedMs: Date.now() });
      await Bun.sleep(random.whole(0, 3_000));
      if (!options.returns) names[at] = String(names.length + loss);
      machines.machine(names[at] ?? "");
      options.onLoss?.();
    }
    await Bun.sleep(500);
    await load.stop();
    const runs = await settled(machines);
    const ledger = machines.ledger();
    found.tried = runs.length;
    const known = new Map(runs.map((run) => [run.run_id, run]));
    for (const runId of load.created) if (!known.has(runId)) found.lost.push(`run ${runId} is not known any more`);
    for (const run of runs) {
      const isLost = losses.some((loss) => isDuring(run, loss));
      const wrong = untruth(run, ledger, { isLost, isStopped: false }) ?? missingRetry(run, known);
      if (wrong !== null) found.lost.push(wrong);
    }
    found.lost.push(...untoldParents(runs));
    found.duplicated.push(...executedTwice(ledger));
    found.leftBehind.push(...(await leftoversOf(known.keys())));
  });
}

/** Sessions whose first run has ended: they can be resumed by callbacks. */
async function sessionsOf(machines: Machines, count: number): Promise<string[]> {
  const created = [];
  for (let i = 0; i < count; i++) created.push(await machines.api.submit("sleep=0.01 exit=0"));
  return created.map(({ session_id }) => session_id);
}

function isDuring({ claimed_at, completed_at }: ListedRun, { beganMs, endedMs }: Loss): boolean {
  return Date.parse(claimed_at ?? "") <= endedMs && Date.parse(completed_at ?? "") >= beganMs;
}

function missingRetry(run: ListedRun, known: ReadonlyMap<string, ListedRun>): string | null {
  if (run.reason !== "runner_lost" || run.attempt >= run.max_attempts) return null;
  if (run.retried_by !== null && known.has(run.retried_by)) return null;
  return `run ${run.run_id} was lost in attempt ${run.attempt} of ${run.max_attempts} and not retried`;
}

/** The children whose last attempt has ended and whose parent's session was not resumed with that. */
function untoldParents(runs: readonly ListedRun[]): string[] {
  return runs
    .filter((run) => run.execution_mode === "async_callback" && run.retried_by === null && run.type === "start_session")
    .filter(
      (child) =>
        !runs.some((run) => run.session_id === child.parent_session_id && run.prompt.includes(child.session_id)),
    )
    .map((child) => `the parent of run ${child.run_id}, which is ${child.status}, was not told`);
}
