import type { Verdict } from "./verdict.ts";

export interface TrialOptions {
  /** The short form for the gate: the same trials with smaller numbers. */
  readonly isQuick: boolean;
  /**
   * The seed of the random numbers; null: the default. With a number, only one schedule is played: that of this seed.
   */
  readonly seed: number | null;
  /** Receives the progress. May be called very often. */
  readonly onProgress: (line: string) => void;
}

export interface TrialResult {
  readonly verdict: Verdict;
  /** The number of things tried, as text. */
  readonly tried: string;
  /** Further facts for the reader. */
  readonly notes: readonly string[];
}

export interface Trial {
  readonly name: string;
  readonly fault: string;
  readonly run: (options: TrialOptions) => Promise<TrialResult>;
}

export const FIRST_SEED = 1;

export function counted(number: number): string {
  return number.toLocaleString("en-US");
}
