import { createRun } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { childrenOf, memoryOf } from "./process-usage.ts";
import type { LineReader } from "./program.ts";
import { Scene } from "./scene.ts";
import { single, summarise } from "./statistics.ts";

const HEARTBEAT_MS = 500;
const LOOK_EVERY_MS = 20;
const SHIMS_WEIGHED = 50;

/** Many runs at once that only sleep: what each costs in memory, how the last one is dispatched, whether heartbeats come in time. */
export const manyRuns: Item = {
  name: "many-runs",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const count = quick ? 100 : 1_000;
    const bell = scene.bell();
    const executor = scene.executor("sleeps", `echo begun >${bell.path}`, "exec sleep 3600");
    const { url } = await scene.coordinator();
    const runner = await scene.runner(url, executor, {
      maxConcurrent: 0,
      env: { HEARTBEAT_INTERVAL: `${HEARTBEAT_MS}ms` },
    });
    const before = memoryOf(runner.pid).privateKiB;
    const heartbeats = new HeartbeatWatch(url);

    const dispatched: number[] = [];
    while (dispatched.length < count) dispatched.push(await dispatchOne(url, bell.lines));
    // Long enough for heartbeats with all of them there, and for garbage to be collected.
    await Bun.sleep(quick ? 3_000 : 30_000);
    const perRun = (memoryOf(runner.pid).privateKiB - before) / count;
    const shims = childrenOf(runner.pid)
      .slice(0, SHIMS_WEIGHED)
      .map((pid) => memoryOf(pid).privateKiB);
    const jitter = await heartbeats.end();
    const barePerRun = await bareSleepers(scene, count);
    const edge = Math.max(10, count / 20);
    return [
      ...memoryFigures(count, perRun, barePerRun, shims),
      {
        item: "many-runs",
        what: `dispatch of the last of ${count}`,
        unit: "ms",
        better: "lower",
        measured: summarise(dispatched.slice(-edge)),
        limit: summarise(dispatched.slice(0, edge)),
        limitIs: "the dispatch of the first ones, by the same runner",
      },
      {
        item: "many-runs",
        what: `heartbeat jitter with up to ${count}`,
        unit: "ms",
        better: "lower",
        measured: summarise(jitter.heartbeats),
        limit: summarise(jitter.timer),
        limitIs: `how late a bare timer of ${HEARTBEAT_MS} ms was in another process meanwhile`,
      },
    ];
  },
};

function memoryFigures(count: number, perRun: number, barePerRun: number, shims: readonly number[]): Figure[] {
  const item = "many-runs";
  return [
    {
      item,
      what: `memory of the runner for each of ${count}`,
      unit: "KiB",
      better: "lower",
      measured: single(perRun),
      limit: single(barePerRun),
      limitIs: `what a compiled Bun program that only spawns them takes for each of ${count} sleeping processes`,
      aim: { of: "median", bound: 100 },
    },
    {
      item,
      what: "memory of a run's shim beside it",
      unit: "KiB",
      better: "lower",
      measured: summarise(shims),
      limit: null,
    },
  ];
}

async function dispatchOne(url: string, bell: LineReader): Promise<number> {
  const begun = bell.next(() => true);
  const begunMs = performance.now();
  await createRun(url);
  return (await begun).atMs - begunMs;
}

async function bareSleepers(scene: Scene, count: number): Promise<number> {
  const program = scene.start([await compiledLimit(), "sleepers", String(count), "sleep", "3600"], {
    wantsLines: true,
  });
  const { value: before } = await program.lines.next((line) =>
    line === "ready" ? memoryOf(program.pid).privateKiB : null,
  );
  program.signal("SIGUSR1");
  await program.lines.next((line) => line === "started" || null);
  const after = memoryOf(program.pid).privateKiB;
  const children = childrenOf(program.pid);
  program.signal("SIGKILL");
  for (const pid of children) process.kill(pid, "SIGKILL");
  return (after - before) / count;
}

/** How far the time between two heartbeats, as the coordinator has noted them, is from what was asked for. */
class HeartbeatWatch {
  readonly #url: string;
  readonly #seen = new Set<string>();
  readonly #late: number[] = [];
  readonly #timer: Timer;
  readonly #looking: Promise<void>;
  #isEnded = false;

  constructor(url: string) {
    this.#url = url;
    let dueMs = performance.now() + HEARTBEAT_MS;
    this.#timer = setInterval(() => {
      this.#late.push(Math.abs(performance.now() - dueMs));
      dueMs = performance.now() + HEARTBEAT_MS;
    }, HEARTBEAT_MS);
    this.#looking = this.#look();
  }

  async end(): Promise<{ heartbeats: number[]; timer: number[] }> {
    this.#isEnded = true;
    clearInterval(this.#timer);
    await this.#looking;
    const times = [...this.#seen].map((time) => Date.parse(time)).toSorted((a, b) => a - b);
    const heartbeats = times.slice(1).map((time, index) => Math.abs(time - (times[index] ?? 0) - HEARTBEAT_MS));
    return { heartbeats, timer: this.#late };
  }

  async #look(): Promise<void> {
    while (!this.#isEnded) {
      const answer = (await (await fetch(`${this.#url}/runners`)).json()) as { runners: { last_heartbeat: string }[] };
      for (const runner of answer.runners) this.#seen.add(runner.last_heartbeat);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }
}
