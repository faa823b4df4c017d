import { mkdirSync } from "node:fs";
import { createRun, inLanes } from "./calls.ts";
import type { Effort, Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { familyCpuSeconds } from "./process-usage.ts";
import type { Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { summarise, takeTurns } from "./statistics.ts";

/** One batch of runs: how many a second, and what CPU time each took, that of the executors included. */
interface Batch {
  readonly perSecond: number;
  readonly cpuMs: number;
}

/** How many runs of an executor that does nothing go through, by how many may run at once. */
export const throughput: Item = {
  name: "throughput",
  needsLinux: true,
  async measure(effort) {
    const figures: Figure[] = [];
    for (const atOnce of effort.quick ? [1, 16] : [1, 16, 64]) figures.push(...(await atConcurrency(atOnce, effort)));
    return figures;
  },
};

async function atConcurrency(atOnce: number, { quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const executor = scene.executor("nothing", "exit 0");
  const coordinator = await scene.coordinator();
  const limit = await compiledLimit();
  // 5,000 runs of each kind, in batches that take turns.
  const runs = quick ? 50 : 500;
  const [runner = [], shimmed = [], bare = []] = await takeTurns(
    { warmUp: quick ? 0 : 1, samples: quick ? 2 : 10 },
    () => throughRunner(scene, coordinator, executor, runs, atOnce),
    () => inLoop(scene, [limit, "loop", String(runs), String(atOnce), executor, scene.path(`loop.${loops++}`)]),
    () => inLoop(scene, [limit, "loop", String(runs), String(atOnce), executor]),
  );
  return figuresOf(atOnce, runner, shimmed, bare);
}

let loops = 0;

function figuresOf(
  atOnce: number,
  runner: readonly Batch[],
  shimmed: readonly Batch[],
  bare: readonly Batch[],
): Figure[] {
  const rates = (batches: readonly Batch[]) =>
    summarise(
      batches.map((batch) => batch.perSecond),
      "higher",
    );
  const cpu = (batches: readonly Batch[]) => summarise(batches.map((batch) => batch.cpuMs));
  const item = "throughput";
  const loop = `a bare loop that spawns the same executor, ${atOnce} at once`;
  return [
    {
      item,
      what: `${atOnce} at once`,
      unit: "runs/s",
      better: "higher",
      measured: rates(runner),
      limit: rates(shimmed),
      limitIs: `${loop}, under the runner's shim, without a coordinator`,
      aim: { of: "ratio", bound: 0.6 },
    },
    {
      item,
      what: `${atOnce} at once, against no shim`,
      unit: "runs/s",
      better: "higher",
      measured: rates(runner),
      limit: rates(bare),
      limitIs: loop,
    },
    {
      item,
      what: `${atOnce} at once, CPU time a run`,
      unit: "ms",
      better: "lower",
      measured: cpu(runner),
      limit: cpu(shimmed),
      limitIs: `${loop}, under the runner's shim; both with the executors' own time, the runner's with that of the coordinator`,
    },
  ];
}

/** The runs are queued before the runner comes; their time is from the first claim to the last report. */
async function throughRunner(
  scene: Scene,
  { url, program }: { url: string; program: Program },
  executor: string,
  runs: number,
  atOnce: number,
): Promise<Batch> {
  await inLanes(runs, 16, () => createRun(url));
  const coordinatorBefore = familyCpuSeconds(program.pid);
  const first = program.lines.next((line) => / claimed( |$)/.test(line) || null);
  let left = runs;
  const last = program.lines.next((line) => (line.includes("Run completed") && --left === 0) || null);
  const runner = scene.startRunner(url, executor, { maxConcurrent: atOnce });
  const ms = (await last).atMs - (await first).atMs;
  const cpuSeconds = familyCpuSeconds(runner.pid) + familyCpuSeconds(program.pid) - coordinatorBefore;
  await scene.leave(runner);
  return { perSecond: (runs / ms) * 1000, cpuMs: (cpuSeconds / runs) * 1000 };
}

async function inLoop(scene: Scene, command: readonly string[]): Promise<Batch> {
  const shimFolder = command[5];
  if (shimFolder !== undefined) mkdirSync(shimFolder);
  const runs = Number(command[2]);
  const program = scene.start(command, { wantsLines: true });
  const { value: ms } = await program.lines.next((line) => {
    const took = /^took (\S+)/.exec(line)?.[1];
    return took === undefined ? null : Number(took);
  });
  const cpuSeconds = familyCpuSeconds(program.pid);
  program.signal("SIGKILL");
  await program.exited;
  return { perSecond: (runs / ms) * 1000, cpuMs: (cpuSeconds / runs) * 1000 };
}
