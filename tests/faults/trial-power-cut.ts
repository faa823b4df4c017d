import { imageDisk } from "../harness/image-disk.ts";
import { inMachines, type Found } from "./in-machines.ts";
import { Load } from "./load.ts";
import type { ListedRun, Machines } from "./machines.ts";
import { SeededRandom } from "./seeded-random.ts";
import { isOpen } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

export interface PowerCutOptions {
  readonly cuts: number;
  readonly durability: "disk" | "process";
  readonly seed: number;
  readonly onCut?: () => void;
}

/** Also counts the acknowledged creates, and the cuts that lost one. */
export interface PowerCuts extends Verdict {
  readonly creates: number;
  readonly spoilt: number;
}

/**
 * The coordinator's state folder lies on an ext4 file system in a file. The file is copied at random moments under a
 * load of creates and runs: the copy has what a power cut leaves. The file system recovers the copy. A coordinator on
 * it must have every create that was acknowledged before, and every ending that was shown.
 */
export async function powerCut({ cuts, durability, seed, onCut }: PowerCutOptions): Promise<PowerCuts> {
  using disk = imageDisk.create();
  const random = new SeededRandom(seed);
  let creates = 0;
  let spoilt = 0;
  const start = { args: ["--state-dir", disk.path], env: { AGENT_COORDINATOR_DURABILITY: durability } };
  const verdict = await inMachines(start, async (machines, found) => {
    machines.machine("0");
    const loads = [0, 1, 2].map(() => new Load(machines, { random, pauseMs: 40, workMs: 300 }));
    for (let cut = 0; cut < cuts; cut++) {
      await Bun.sleep(random.whole(50, 1_000));
      const ended = (await machines.runs()).filter((run) => !isOpen(run));
      const acknowledged = loads.flatMap(({ created }) => created);
      // A flush in flight comes to its end; nothing begins another one.
      machines.coordinator.signal("SIGSTOP");
      using copy = cutOf(disk, machines);
      const before = found.lost.length;
      await judge(copy.path, acknowledged, ended, found);
      if (found.lost.length > before) spoilt++;
      found.tried++;
      creates += acknowledged.length;
      onCut?.();
    }
    for (const load of loads) await load.stop();
  });
  return { ...verdict, creates, spoilt };
}

function cutOf(disk: ReturnType<typeof imageDisk.create>, machines: Machines): ReturnType<typeof imageDisk.create> {
  try {
    return disk.cut();
  } finally {
    machines.coordinator.signal("SIGCONT");
  }
}

async function judge(
  stateDir: string,
  acknowledged: readonly string[],
  ended: readonly ListedRun[],
  found: Found,
): Promise<void> {
  const start = { args: ["--state-dir", stateDir] };
  const { complaints } = await inMachines(start, async (restarted) => {
    const statuses = new Map((await restarted.runs()).map(({ run_id, status }) => [run_id, status]));
    const missing = acknowledged.filter((runId) => !statuses.has(runId));
    const open = ended.filter(({ run_id, status }) => statuses.has(run_id) && statuses.get(run_id) !== status);
    if (missing.length > 0)
      found.lost.push(`${missing.length} of ${acknowledged.length} acknowledged creates are gone`);
    if (open.length > 0) found.lost.push(`${open.length} of ${ended.length} endings that were shown are gone`);
  });
  found.lost.push(...complaints);
}
