import { createRun } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { type Memory, memoryOf } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { single } from "./statistics.ts";

const BATCH = 50;
const LOOK_MS = 50;
const SETTLED_MS = 3_000;
/** The runner returns memory after 5 s without a run. */
const IDLE_MS = 9_000;

/** The memory of runner and coordinator that are idle after many short runs: what stays. */
export const afterRuns: Item = {
  name: "after-runs",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const count = quick ? 100 : 600;
    const { url, program: coordinator } = await scene.coordinator();
    const runner = await scene.runner(url, scene.executor("hello", "echo hello"), { maxConcurrent: 8 });
    const server = await scene.limitServer();
    const limit = scene.start([await compiledLimit(), "fetch", `${server.url}/pending`]);
    await Bun.sleep(SETTLED_MS);
    const programs = { runner: runner.pid, coordinator: coordinator.pid };
    const before = { runner: memoryOf(programs.runner), coordinator: memoryOf(programs.coordinator) };
    for (let done = 0; done < count; done += BATCH) {
      await Promise.all(Array.from({ length: BATCH }, () => createRun(url)));
      while ((await completed(url)) < done + BATCH) await Bun.sleep(LOOK_MS);
    }
    await Bun.sleep(IDLE_MS);
    const empty = memoryOf(limit.pid);
    const emptyIs = "a compiled Bun program with one pending fetch";
    return (["runner", "coordinator"] as const).flatMap((name) => {
      const after = memoryOf(programs[name]);
      const beforeIs = `the ${name} before its first run`;
      return [
        ...figures(`the ${name} after ${count} runs`, after, before[name], beforeIs),
        ...figures(`the ${name} after ${count} runs, limit empty`, after, empty, emptyIs),
      ];
    });
  },
};

/** Resident; the share of it that is the process's own, if others run the same program; and dirty private pages. */
function figures(whose: string, measured: Memory, limit: Memory, limitIs: string): Figure[] {
  const figure = (what: string, of: (memory: Memory) => number): Figure => ({
    item: "after-runs",
    what: `${what} of ${whose}`,
    unit: "MiB",
    better: "lower",
    measured: single(of(measured) / 1024),
    limit: single(of(limit) / 1024),
    limitIs,
  });
  return [
    figure("resident", ({ residentKiB }) => residentKiB),
    figure("proportional share", ({ proportionalKiB }) => proportionalKiB),
    figure("private", ({ privateKiB }) => privateKiB),
  ];
}

async function completed(url: string): Promise<number> {
  const { runs } = (await (await fetch(`${url}/runs?status=completed`)).json()) as { runs: unknown[] };
  return runs.length;
}
