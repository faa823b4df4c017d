import { createRun, postJson, registerRunner } from "./calls.ts";
import { FilledCoordinator, OPERATIONS, type Rates } from "./coordinator.ts";
import type { Figure, Item } from "./figure.ts";
import { Scene } from "./scene.ts";
import { interleave, summarise, timed } from "./statistics.ts";

const LIMIT_IS = "the same of a coordinator with durability = process, interleaved";

/** What `durability = "disk"` costs: an acknowledged write is on the disk. */
export const durability: Item = {
  name: "durability",
  async measure({ quick }) {
    await using scene = new Scene();
    const [disk, process] = [
      await FilledCoordinator.start(scene, 0, "disk"),
      await FilledCoordinator.start(scene, 0, "process"),
    ];
    const block = quick ? 50 : 200;
    const [onDisk = [], inProcess = []] = await interleave<Rates>(
      { warmUp: 1, samples: quick ? 3 : 25 },
      () => disk.measure(block),
      () => process.measure(block),
    );
    const [diskLives = [], processLives = []] = await interleave(
      { warmUp: 5, samples: quick ? 20 : 300 },
      await livesAt(disk.url),
      await livesAt(process.url),
    );
    const rates = OPERATIONS.map((operation): Figure => ({
      item: "durability",
      what: `${operation}, 16 at once`,
      unit: "1/s",
      better: "higher",
      measured: summarise(
        onDisk.map((round) => round[operation]),
        "higher",
      ),
      limit: summarise(
        inProcess.map((round) => round[operation]),
        "higher",
      ),
      limitIs: LIMIT_IS,
    }));
    const life: Figure = {
      item: "durability",
      what: "the four calls of a run's life",
      unit: "ms",
      better: "lower",
      measured: summarise(diskLives),
      limit: summarise(processLives),
      limitIs: LIMIT_IS,
    };
    return [...rates, life];
  },
};

/** Each call creates, claims, starts and completes a run. Resolves to its milliseconds. */
async function livesAt(url: string): Promise<() => Promise<number>> {
  const runnerId = await registerRunner(url, "/project/life");
  return () =>
    timed(async () => {
      const { run_id } = await createRun(url);
      await (await fetch(`${url}/runner/runs?runner_id=${runnerId}`)).json();
      await postJson(`${url}/runner/runs/${run_id}/started`, { runner_id: runnerId });
      await postJson(`${url}/runner/runs/${run_id}/completed`, { runner_id: runnerId, status: "success" });
    });
}
