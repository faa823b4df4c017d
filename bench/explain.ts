import { holePunchingFigures } from "./explain/hole-punching.ts";
import { coordinatorFigures } from "./explain/coordinator.ts";
import { memoryFigures } from "./explain/memory.ts";
import { pageFaultFigures } from "./explain/page-faults.ts";
import { runFigures } from "./explain/run.ts";
import type { Item } from "./figure.ts";

/** Breaks the figures of other items down: into steps, each with the step before as its limit, and into counts. */
export const explain: Item = {
  name: "explain",
  needsLinux: true,
  async measure(effort) {
    const figures = [];
    for (const measure of [pageFaultFigures, runFigures, memoryFigures, holePunchingFigures, coordinatorFigures])
      figures.push(...(await measure(effort)));
    return figures;
  },
};
