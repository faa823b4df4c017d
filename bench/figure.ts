import type { Better, Summary } from "./statistics.ts";

/** What a figure is to reach: its ratio to the limit, its median, its p99, or what its median adds to that of the limit. */
export interface Aim {
  readonly of: "ratio" | "median" | "p99" | "added";
  readonly bound: number;
}

/** One line of the table: what was measured, and in the same run the least that the machine can do for that work. */
export interface Figure {
  readonly item: string;
  readonly what: string;
  readonly unit: string;
  readonly better: Better;
  readonly measured: Summary;
  /** Null where the figure stands beside another one and has no limit of its own. */
  readonly limit: Summary | null;
  readonly limitIs?: string;
  readonly aim?: Aim;
}

export function ratioOf({ measured, limit }: Figure): number | null {
  return limit === null || limit.median === 0 ? null : measured.median / limit.median;
}

/** Null where the figure has no aim. */
export function meetsAim(figure: Figure): boolean | null {
  const { aim, better } = figure;
  if (aim === undefined) return null;
  const value = aimedAt(figure, aim);
  return better === "lower" ? value <= aim.bound : value >= aim.bound;
}

function aimedAt(figure: Figure, { of }: Aim): number {
  const { measured, limit } = figure;
  if (of === "ratio") return ratioOf(figure) ?? Number.NaN;
  return of === "added" ? measured.median - (limit?.median ?? 0) : measured[of];
}

/** What is measured, and how thoroughly. */
export interface Effort {
  /** For a look at whether all of it still works: few samples, small loads. */
  readonly quick: boolean;
}

/** One item of the table. */
export interface Item {
  readonly name: string;
  /** Only where the system tells what it needs (`/proc`). */
  readonly needsLinux?: boolean;
  measure(effort: Effort): Promise<Figure[]>;
}
