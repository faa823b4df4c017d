import type { Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { memoryOf, threadUsageOf, usageBetween } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { summarise } from "./statistics.ts";

/** The usage of one process in one time window. CPU time and wake-ups are per minute. */
interface Window {
  readonly residentMiB: number;
  readonly privateMiB: number;
  readonly cpuSeconds: number;
  readonly wakeUps: number;
}

/** The memory and CPU usage of an idle runner and its coordinator. */
export const idle: Item = {
  name: "idle",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const { url, program: coordinator } = await scene.coordinator();
    const runner = await scene.runner(url, scene.executor("nothing", "exit 0"));
    const server = await scene.limitServer();
    const limit = scene.start([await compiledLimit(), "fetch", `${server.url}/pending`]);
    await Bun.sleep(quick ? 1_000 : 5_000);
    const programs = [runner, coordinator, limit].map(({ pid }) => pid);
    const windows = await sampleUsage(programs, quick ? { windows: 3, ms: 1_000 } : { windows: 6, ms: 10_000 });
    const [ofRunner = [], ofCoordinator = [], ofLimit = []] = windows;
    const pair = (what: string, unit: string, of: (window: Window) => number): Omit<Figure, "aim"> => ({
      item: "idle",
      what,
      unit,
      better: "lower",
      measured: summarise(ofRunner.map(of)),
      limit: summarise(ofLimit.map(of)),
      limitIs: "a compiled Bun program with one pending fetch, in the same windows",
    });
    return [
      {
        ...pair("memory of the runner, resident", "MiB", (window) => window.residentMiB),
        aim: { of: "ratio", bound: 1.3 },
      },
      {
        ...pair("memory of the runner, private", "MiB", (window) => window.privateMiB),
        aim: { of: "ratio", bound: 1.3 },
      },
      {
        ...pair("CPU time of the runner per minute", "s", (window) => window.cpuSeconds),
        aim: { of: "median", bound: 0.1 },
      },
      pair("wake-ups of the runner per minute", "", (window) => window.wakeUps),
      withoutLimit("memory of the coordinator, private", "MiB", ofCoordinator, (window) => window.privateMiB),
      withoutLimit("CPU time of the coordinator per minute", "s", ofCoordinator, (window) => window.cpuSeconds),
    ];
  },
};

function withoutLimit(what: string, unit: string, windows: readonly Window[], of: (window: Window) => number): Figure {
  return { item: "idle", what, unit, better: "lower", measured: summarise(windows.map(of)), limit: null };
}

/** The usage of each process in each window. The processes share the windows. */
async function sampleUsage(
  pids: readonly number[],
  { windows, ms }: { windows: number; ms: number },
): Promise<Window[][]> {
  const samples = pids.map((): Window[] => []);
  for (let window = 0; window < windows; window++) {
    const before = pids.map((pid) => ({ usage: threadUsageOf(pid), atMs: performance.now() }));
    await Bun.sleep(ms);
    for (const [index, pid] of pids.entries()) {
      const begin = before[index];
      if (begin === undefined) continue;
      const perMinute = 60_000 / (performance.now() - begin.atMs);
      const { cpuSeconds, wakeUps } = usageBetween(begin.usage, threadUsageOf(pid));
      const { residentKiB, privateKiB } = memoryOf(pid);
      samples[index]?.push({
        residentMiB: residentKiB / 1024,
        privateMiB: privateKiB / 1024,
        cpuSeconds: cpuSeconds * perMinute,
        wakeUps: wakeUps * perMinute,
      });
    }
  }
  return samples;
}
