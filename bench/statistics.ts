/** A summary of a set of samples. */
export interface Summary {
  readonly median: number;
  /** 99 % of the samples are at least as good. The worst sample if there are fewer than 100. */
  readonly p99: number;
  readonly samples: number;
}

/** Whether lower or higher values are better. */
export type Better = "lower" | "higher";

export function summarise(samples: readonly number[], better: Better = "lower"): Summary {
  const sorted = samples.toSorted((a, b) => (better === "lower" ? a - b : b - a));
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), samples: sorted.length };
}

/** The summary of a single value. */
export function single(value: number): Summary {
  return { median: value, p99: value, samples: 1 };
}

/** The sample at this share of the sorted samples. Does not interpolate. */
function quantile(sorted: readonly number[], share: number): number {
  const index = Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1);
  return sorted[Math.max(0, index)] ?? Number.NaN;
}

export interface Rounds {
  readonly warmUp: number;
  readonly samples: number;
}

/**
 * Measures all sides in turn (A B C A B C ...), so that other load on the machine affects them equally. Resolves to the
 * samples of each side, without the warm-up.
 */
export async function interleave<T>(
  { warmUp, samples }: Rounds,
  ...sides: readonly (() => Promise<T>)[]
): Promise<T[][]> {
  const results = sides.map((): T[] => []);
  for (let round = -warmUp; round < samples; round++) {
    for (const [index, side] of sides.entries()) {
      const sample = await side();
      if (round >= 0) results[index]?.push(sample);
    }
  }
  return results;
}

/** The duration of `work` in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
