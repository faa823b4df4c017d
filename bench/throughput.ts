import { mkdirSync } from "node:fs";
import { createRun, inParallel } from "./calls.ts";
import type { Effort, Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { familyCpuSeconds } from "./process-usage.ts";
import type { Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { summarise, interleave } from "./statistics.ts";

interface Batch {
  readonly perSecond: number;
  /** CPU time per run, executor included. */
  readonly cpuMs: number;
}

/** The throughput of runs with a trivial executor, by concurrency. */
export const throughput: Item = {
  name: "throughput",
  needsLinux: true,
  async measure(effort) {
    const figures: Figure[] = [];
    for (const concurrency of effort.quick ? [1, 16] : [1, 16, 64])
      figures.push(...(await atConcurrency(concurrency, effort)));
    return figures;
  },
};

async function atConcurrency(concurrency: number, { quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const executor = scene.executor("nothing", "exit 0");
  const coordinator = await scene.coordinator();
  const limit = await compiledLimit();
  // 5,000 runs of each kind, in interleaved batches.
  const runs = quick ? 50 : 500;
  const [runner = [], shimmed = [], bare = []] = await interleave(
    { warmUp: quick ? 0 : 1, samples: quick ? 2 : 10 },
    () => throughRunner(scene, coordinator, executor, runs, concurrency),
    () => inLoop(scene, [limit, "loop", String(runs), String(concurrency), executor, scene.path(`loop.${loops++}`)]),
    () => inLoop(scene, [limit, "loop", String(runs), String(concurrency), executor]),
  );
  return figuresOf(concurrency, runner, shimmed, bare);
}

let loops = 0;

function figuresOf(
  concurrency: number,
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
  const loop = `a bare loop that spawns the same executor, ${concurrency} at once`;
  return [
    {
      item,
      what: `${concurrency} at once`,
      unit: "runs/s",
      better: "higher",
      measured: rates(runner),
      limit: rates(shimmed),
      limitIs: `${loop}, under the runner's shim, without a coordinator`,
      aim: { of: "ratio", bound: 0.6 },
    },
    {
      item,
      what: `${concurrency} at once, limit without shim`,
      unit: "runs/s",
      better: "higher",
      measured: rates(runner),
      limit: rates(bare),
      limitIs: loop,
    },
    {
      item,
      what: `${concurrency} at once, CPU time per run`,
      unit: "ms",
      better: "lower",
      measured: cpu(runner),
      limit: cpu(shimmed),
      limitIs:
        `${loop}, under the runner's shim; both include the executors' own time, ` +
        "and the runner's includes the coordinator's",
    },
  ];
}

/** Queues the runs, then starts the runner. Measures from the first claim to the last report. */
async function throughRunner(
  scene: Scene,
  { url, program }: { url: string; program: Program },
  executor: string,
  runs: number,
  concurrency: number,
): Promise<Batch> {
  await inParallel(runs, 16, () => createRun(url));
  const coordinatorBefore = familyCpuSeconds(program.pid);
  const first = program.lines.next((line) => / claimed( |$)/.test(line) || null);
  let left = runs;
  const last = program.lines.next((line) => (line.includes("Run completed") && --left === 0) || null);
  const runner = scene.startRunner(url, executor, { maxConcurrent: concurrency });
  const ms = (await last).atMs - (await first).atMs;
  const cpuSeconds = familyCpuSeconds(runner.pid) + familyCpuSeconds(program.pid) - coordinatorBefore;
  await scene.shutDown(runner);
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
