import { createRun, postJson, registerRunner } from "./calls.ts";
import type { Figure } from "./figure.ts";
import { memoryOf } from "./process-usage.ts";
import type { Program } from "./program.ts";
import type { Scene } from "./scene.ts";
import { type Rounds, single, summarise, interleave } from "./statistics.ts";

/** Below Bun's limit of 256 requests in flight per process. */
const RUNNERS = 200;

/** The cost of waiting runners for their coordinator: dispatch time, and memory per runner. */
export async function waitingRunnersFigures(scene: Scene, rounds: Rounds): Promise<Figure[]> {
  const many = await WaitingRunners.start(scene, RUNNERS);
  const one = await WaitingRunners.start(scene, 1);
  const [measured = [], limit = []] = await interleave(
    rounds,
    () => many.dispatch(),
    () => one.dispatch(),
  );
  const figures: Figure[] = [
    {
      item: "coordinator",
      what: `dispatch to one of ${RUNNERS} waiting runners`,
      unit: "ms",
      better: "lower",
      measured: summarise(measured),
      limit: summarise(limit),
      limitIs: "dispatch to the only waiting runner of another coordinator",
    },
  ];
  if (process.platform !== "linux") return figures;
  const perRunner = (many.grownKiB() - one.grownKiB()) / (RUNNERS - 1);
  return [
    ...figures,
    {
      item: "coordinator",
      what: "memory of the coordinator per waiting runner",
      unit: "KiB",
      better: "lower",
      measured: single(perRunner),
      limit: null,
    },
  ];
}

interface Claimed {
  readonly runId: string;
  readonly runnerId: string;
  readonly atMs: number;
}

/** A coordinator with runners that each have a poll open. The runners have no process of their own. */
class WaitingRunners {
  readonly #url: string;
  readonly #program: Program;
  readonly #beforeKiB: number;
  #onClaimed: ((claimed: Claimed) => void) | undefined;

  private constructor(url: string, program: Program) {
    this.#url = url;
    this.#program = program;
    this.#beforeKiB = privateKiB(program);
  }

  static async start(scene: Scene, count: number): Promise<WaitingRunners> {
    const { url, program } = await scene.coordinator(scene.path(`waiting.${count}`));
    const runners = new WaitingRunners(url, program);
    for (let index = 0; index < count; index++) runners.#poll(await registerRunner(url, `/project/${index}`));
    return runners;
  }

  /** Milliseconds from sending `POST /runs` until a poll returns the run. */
  async dispatch(): Promise<number> {
    const claimed = new Promise<Claimed>((resolve) => (this.#onClaimed = resolve));
    const startMs = performance.now();
    await createRun(this.#url);
    const { runId, runnerId, atMs } = await claimed;
    await postJson(`${this.#url}/runner/runs/${runId}/completed`, { runner_id: runnerId, status: "success" });
    this.#poll(runnerId);
    return atMs - startMs;
  }

  grownKiB(): number {
    return privateKiB(this.#program) - this.#beforeKiB;
  }

  #poll(runnerId: string): void {
    const poll = async (): Promise<void> => {
      const response = await fetch(`${this.#url}/runner/runs?runner_id=${runnerId}`, { keepalive: false });
      // The poll timed out without a run.
      if (response.status === 204) return poll();
      const { run } = (await response.json()) as { run: { run_id: string } };
      this.#onClaimed?.({ runId: run.run_id, runnerId, atMs: performance.now() });
    };
    // Fails when the coordinator shuts down at the end.
    poll().catch(() => {});
  }
}

function privateKiB({ pid }: Program): number {
  return process.platform === "linux" ? memoryOf(pid).privateKiB : 0;
}
