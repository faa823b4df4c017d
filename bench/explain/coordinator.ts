import { FilledCoordinator, OPERATIONS, type Rates } from "../coordinator.ts";
import type { Effort, Figure } from "../figure.ts";
import { fileCallsOf } from "../process-usage.ts";
import { Scene } from "../scene.ts";
import { summarise, interleave } from "../statistics.ts";
import { explainFigure } from "./explain-figure.ts";

/** The coordinator's reads and writes of its database per call, with and without stored runs. */
export async function coordinatorFigures({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const storedRuns = quick ? 10_000 : 100_000;
  const full = await FilledCoordinator.start(scene, storedRuns);
  const empty = await FilledCoordinator.start(scene, 0);
  const block = quick ? 50 : 200;
  const calls =
    ({ pid }: FilledCoordinator) =>
    async (count: number, work: () => Promise<unknown>): Promise<number> => {
      const before = fileCallsOf(pid);
      await work();
      return (fileCallsOf(pid) - before) / count;
    };
  const [ofFull = [], ofEmpty = []] = await interleave<Rates>(
    { warmUp: 1, samples: quick ? 3 : 10 },
    () => full.measure(block, calls(full)),
    () => empty.measure(block, calls(empty)),
  );
  return OPERATIONS.map((operation) =>
    explainFigure(
      `coordinator: reads and writes per call, ${operation} with ${storedRuns.toLocaleString("en")} stored runs`,
      "",
      summarise(ofFull.map((round) => round[operation])),
      summarise(ofEmpty.map((round) => round[operation])),
      "a coordinator without stored runs",
    ),
  );
}
