import { createRun, postJson, registerRunner } from "./calls.ts";
import type { Figure } from "./figure.ts";
import { memoryOf } from "./process-usage.ts";
import type { Program } from "./program.ts";
import type { Scene } from "./scene.ts";
import { type Rounds, single, summarise, takeTurns } from "./statistics.ts";

/** Not more: a process has at most 256 requests open at once. */
const RUNNERS = 200;

/** What runners that wait cost their coordinator: does a run find one as fast among many, and what memory does each take there? */
export async function waitingRunnersFigures(scene: Scene, rounds: Rounds): Promise<Figure[]> {
  const many = await WaitingRunners.start(scene, RUNNERS);
  const one = await WaitingRunners.start(scene, 1);
  const [measured = [], limit = []] = await takeTurns(
    rounds,
    () => many.dispatch(),
    () => one.dispatch(),
  );
  const figures: Figure[] = [
    {
      item: "coordinator",
      what: `a run's way to one of ${RUNNERS} runners that wait`,
      unit: "ms",
      better: "lower",
      measured: summarise(measured),
      limit: summarise(limit),
      limitIs: "the way to the only one that waits, at another coordinator",
    },
  ];
  if (process.platform !== "linux") return figures;
  const perRunner = (many.grownKiB() - one.grownKiB()) / (RUNNERS - 1);
  return [
    ...figures,
    {
      item: "coordinator",
      what: "its memory for each runner that waits",
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

/** A coordinator, and runners of which each has a poll open, as far as the coordinator can see. */
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

  /** Milliseconds from the sending of `POST /runs` until one of the polls is answered with it. */
  async dispatch(): Promise<number> {
    const claimed = new Promise<Claimed>((resolve) => (this.#onClaimed = resolve));
    const begunMs = performance.now();
    await createRun(this.#url);
    const { runId, runnerId, atMs } = await claimed;
    await postJson(`${this.#url}/runner/runs/${runId}/completed`, { runner_id: runnerId, status: "success" });
    this.#poll(runnerId);
    return atMs - begunMs;
  }

  grownKiB(): number {
    return privateKiB(this.#program) - this.#beforeKiB;
  }

  #poll(runnerId: string): void {
    const poll = async (): Promise<void> => {
      const response = await fetch(`${this.#url}/runner/runs?runner_id=${runnerId}`, { keepalive: false });
      // Nothing came for as long as a poll is held open.
      if (response.status === 204) return poll();
      const { run } = (await response.json()) as { run: { run_id: string } };
      this.#onClaimed?.({ runId: run.run_id, runnerId, atMs: performance.now() });
    };
    // At the end the coordinator goes away.
    poll().catch(() => {});
  }
}

function privateKiB({ pid }: Program): number {
  return process.platform === "linux" ? memoryOf(pid).privateKiB : 0;
}
