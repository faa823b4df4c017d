import type { Better, Summary } from "./statistics.ts";

/** A figure's target: for its ratio to the limit, its median, its p99, or its median minus the limit's (`added`). */
export interface Aim {
  readonly of: "ratio" | "median" | "p99" | "added";
  readonly bound: number;
}

/** A row of the table: a measurement, and the limit: the minimum that the machine needs for the same work. */
export interface Figure {
  readonly item: string;
  readonly what: string;
  readonly unit: string;
  readonly better: Better;
  readonly measured: Summary;
  /** Null for a figure without a limit of its own. */
  readonly limit: Summary | null;
  readonly limitIs?: string;
  readonly aim?: Aim;
}

export function ratioOf({ measured, limit }: Figure): number | null {
  return limit === null || limit.median === 0 ? null : measured.median / limit.median;
}

/** Null for a figure without an aim. */
export function meetsAim(figure: Figure): boolean | null {
  const { aim, better } = figure;
  if (aim === undefined) return null;
  const value = valueFor(figure, aim);
  return better === "lower" ? value <= aim.bound : value >= aim.bound;
}

function valueFor(figure: Figure, { of }: Aim): number {
  const { measured, limit } = figure;
  if (of === "ratio") return ratioOf(figure) ?? Number.NaN;
  return of === "added" ? measured.median - (limit?.median ?? 0) : measured[of];
}

export interface Effort {
  /** Few samples and small loads, to check that every item still works. */
  readonly quick: boolean;
}

/** A group of figures. */
export interface Item {
  readonly name: string;
  /** Whether the item reads `/proc`. */
  readonly needsLinux?: boolean;
  measure(effort: Effort): Promise<Figure[]>;
}
