import { OPERATIONS, type Rates, Side } from "../coordinator.ts";
import type { Effort, Figure } from "../figure.ts";
import { fileCallsOf } from "../process-usage.ts";
import { Scene } from "../scene.ts";
import { summarise, takeTurns } from "../statistics.ts";
import { part } from "./part.ts";

/** How often the coordinator reads from and writes to its database for one call, by what is behind it. */
export async function coordinatorFigures({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const behind = quick ? 10_000 : 100_000;
  const [full, empty] = [await Side.start(scene, behind), await Side.start(scene, 0)];
  const block = quick ? 50 : 200;
  const calls =
    ({ pid }: Side) =>
    async (count: number, work: () => Promise<unknown>): Promise<number> => {
      const before = fileCallsOf(pid);
      await work();
      return (fileCallsOf(pid) - before) / count;
    };
  const [ofFull = [], ofEmpty = []] = await takeTurns<Rates>(
    { warmUp: 1, samples: quick ? 3 : 10 },
    () => full.measure(block, calls(full)),
    () => empty.measure(block, calls(empty)),
  );
  return OPERATIONS.map((operation) =>
    part(
      `coordinator: reads and writes for one of the ${operation}, ${behind.toLocaleString("en")} runs behind`,
      "",
      summarise(ofFull.map((round) => round[operation])),
      summarise(ofEmpty.map((round) => round[operation])),
      "a coordinator without runs behind it",
    ),
  );
}
