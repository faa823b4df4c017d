import { boundFigures } from "./explain/bound.ts";
import { coordinatorFigures } from "./explain/coordinator.ts";
import { memoryFigures } from "./explain/memory.ts";
import { pageFaultFigures } from "./explain/page-faults.ts";
import { runFigures } from "./explain/run.ts";
import type { Item } from "./figure.ts";

/** What the figures of the other items are made of: steps, of which each has the one before it as its limit, and counts. */
export const explain: Item = {
  name: "explain",
  needsLinux: true,
  async measure(effort) {
    const figures = [];
    for (const part of [pageFaultFigures, runFigures, memoryFigures, boundFigures, coordinatorFigures])
      figures.push(...(await part(effort)));
    return figures;
  },
};
