import type { Figure } from "../figure.ts";
import type { Summary } from "../statistics.ts";

/** A line of `explain`: with a limit, if it says something beside one. */
export function part(
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
