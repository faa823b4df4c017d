import { type Behaviour, ENDS_WELL, promptOf } from "./behaviour.ts";
import type { Machines } from "./machines.ts";
import type { SeededRandom } from "./seeded-random.ts";

export interface LoadOptions {
  readonly random: SeededRandom;
  /** The longest pause between two creates. */
  readonly pauseMs: number;
  /** The longest time that an executor works. */
  readonly workMs: number;
  /** Further fields of the create. */
  readonly more?: () => Readonly<Record<string, unknown>>;
  readonly onCreated?: (runId: string) => void;
}

/** Creates runs until disposed. A create that the coordinator does not acknowledge is not repeated. */
export class Load implements AsyncDisposable {
  /** The runs whose creation was acknowledged. */
  readonly created: string[] = [];
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(machines: Machines, options: LoadOptions) {
    this.#done = this.#run(machines, options);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run({ api }: Machines, { random, pauseMs, workMs, more, onCreated }: LoadOptions): Promise<void> {
    while (!this.#isOver) {
      const behaviour: Behaviour = {
        ...ENDS_WELL,
        exitCode: random.chance(0.3) ? 3 : 0,
        sleepMs: random.whole(20, workMs),
        leaves: random.chance(0.1),
      };
      try {
        const { run_id } = await api.submit(promptOf(behaviour), more?.());
        this.created.push(run_id);
        onCreated?.(run_id);
      } catch {
        // The coordinator is away: its answer, if any, is lost.
      }
      await Bun.sleep(random.whole(0, pauseMs));
    }
  }
}
