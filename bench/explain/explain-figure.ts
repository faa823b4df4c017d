import type { Figure } from "../figure.ts";
import type { Summary } from "../statistics.ts";

/** A figure of the item `explain`. */
export function explainFigure(
  what: string,
  unit: string,
  measured: Summary,
  limit: Summary | null = null,
  limitIs?: string,
): Figure {
  return {
    item: "explain",
    what,
    unit,
    better: "lower",
    measured,
    limit,
    ...(limitIs === undefined ? {} : { limitIs }),
  };
}
