/** What is told of a set of samples. */
export interface Summary {
  readonly median: number;
  /** 99 of 100 samples are at least as good. Of fewer than a hundred samples it is the worst one. */
  readonly p99: number;
  readonly samples: number;
}

/** Whether a small or a large value is the good one. */
export type Better = "lower" | "higher";

export function summarise(samples: readonly number[], better: Better = "lower"): Summary {
  const sorted = samples.toSorted((a, b) => (better === "lower" ? a - b : b - a));
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), samples: sorted.length };
}

/** A single value that was counted or weighed, not sampled. */
export function single(value: number): Summary {
  return { median: value, p99: value, samples: 1 };
}

/** The sample at that share of the order: no value is made up between two. */
function quantile(sorted: readonly number[], share: number): number {
  const index = Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1);
  return sorted[Math.max(0, index)] ?? Number.NaN;
}

export interface Rounds {
  readonly warmUp: number;
  readonly samples: number;
}

/**
 * Lets every side have its turn, A B C A B C ..., so that what else goes on in the machine meets all of them alike. Gives the samples of
 * each side, those of the warm-up left out.
 */
export async function takeTurns<T>(
  { warmUp, samples }: Rounds,
  ...sides: readonly (() => Promise<T>)[]
): Promise<T[][]> {
  const taken = sides.map((): T[] => []);
  for (let round = -warmUp; round < samples; round++) {
    for (const [index, side] of sides.entries()) {
      const sample = await side();
      if (round >= 0) taken[index]?.push(sample);
    }
  }
  return taken;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begunMs = performance.now();
  await work();
  return performance.now() - begunMs;
}
