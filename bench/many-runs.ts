import { createRun } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { childrenOf, memoryOf } from "./process-usage.ts";
import type { LineReader } from "./program.ts";
import { Scene } from "./scene.ts";
import { single, summarise } from "./statistics.ts";

const HEARTBEAT_MS = 500;
const POLL_EVERY_MS = 20;
const SAMPLED_SHIMS = 50;

/** Many concurrent sleeping runs: memory per run, dispatch of the last run, and heartbeat jitter. */
export const manyRuns: Item = {
  name: "many-runs",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const count = quick ? 100 : 1_000;
    const fifo = scene.fifo();
    const executor = scene.executor("sleeps", `echo started >${fifo.path}`, "exec sleep 3600");
    const { url } = await scene.coordinator();
    const runner = await scene.runner(url, executor, {
      maxConcurrent: 0,
      env: { HEARTBEAT_INTERVAL: `${HEARTBEAT_MS}ms` },
    });
    const before = memoryOf(runner.pid).privateKiB;
    const heartbeats = new HeartbeatWatch(url);

    const dispatched: number[] = [];
    while (dispatched.length < count) dispatched.push(await dispatchOne(url, fifo.lines));
    // Long enough for heartbeats with every run in flight, and for garbage collection.
    await Bun.sleep(quick ? 3_000 : 30_000);
    const perRun = (memoryOf(runner.pid).privateKiB - before) / count;
    const shims = childrenOf(runner.pid)
      .slice(0, SAMPLED_SHIMS)
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
        limitIs: "the dispatch of the first runs by the same runner",
      },
      {
        item: "many-runs",
        what: `heartbeat jitter with up to ${count} runs`,
        unit: "ms",
        better: "lower",
        measured: summarise(jitter.heartbeats),
        limit: summarise(jitter.timer),
        limitIs: `the jitter of a bare ${HEARTBEAT_MS} ms timer in another process at the same time`,
      },
    ];
  },
};

function memoryFigures(count: number, perRun: number, barePerRun: number, shims: readonly number[]): Figure[] {
  const item = "many-runs";
  return [
    {
      item,
      what: `memory of the runner per run, ${count} runs`,
      unit: "KiB",
      better: "lower",
      measured: single(perRun),
      limit: single(barePerRun),
      limitIs: `the memory per child of a compiled Bun program that only spawns ${count} sleeping processes`,
      aim: { of: "median", bound: 100 },
    },
    {
      item,
      what: "memory of a run's shim",
      unit: "KiB",
      better: "lower",
      measured: summarise(shims),
      limit: null,
    },
  ];
}

async function dispatchOne(url: string, fifo: LineReader): Promise<number> {
  const signal = fifo.next(() => true);
  const startMs = performance.now();
  await createRun(url);
  return (await signal).atMs - startMs;
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

/** Measures how far the time between two heartbeats, as recorded by the coordinator, is from HEARTBEAT_MS. */
class HeartbeatWatch {
  readonly #url: string;
  readonly #times = new Set<string>();
  readonly #timerJitter: number[] = [];
  readonly #timer: Timer;
  readonly #polling: Promise<void>;
  #isEnded = false;

  constructor(url: string) {
    this.#url = url;
    let dueMs = performance.now() + HEARTBEAT_MS;
    this.#timer = setInterval(() => {
      this.#timerJitter.push(Math.abs(performance.now() - dueMs));
      dueMs = performance.now() + HEARTBEAT_MS;
    }, HEARTBEAT_MS);
    this.#polling = this.#poll();
  }

  async end(): Promise<{ heartbeats: number[]; timer: number[] }> {
    this.#isEnded = true;
    clearInterval(this.#timer);
    await this.#polling;
    const times = [...this.#times].map((time) => Date.parse(time)).toSorted((a, b) => a - b);
    const heartbeats = times.slice(1).map((time, index) => Math.abs(time - (times[index] ?? 0) - HEARTBEAT_MS));
    return { heartbeats, timer: this.#timerJitter };
  }

  async #poll(): Promise<void> {
    while (!this.#isEnded) {
      const answer = (await (await fetch(`${this.#url}/runners`)).json()) as { runners: { last_heartbeat: string }[] };
      for (const runner of answer.runners) this.#times.add(runner.last_heartbeat);
      await Bun.sleep(POLL_EVERY_MS);
    }
  }
}
