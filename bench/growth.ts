import { createRun, postJson, registerRunner } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { fillDatabase } from "./fill-database.ts";
import { memoryOf } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { single, summarise, takeTurns, timed } from "./statistics.ts";

/** What is asked of a coordinator, one at a time; the lists as a dashboard asks for them. */
const LISTS = [
  "/runs?limit=50",
  "/runs?status=failed&limit=50",
  "/runs?status=pending&limit=50",
  "/sessions?limit=50",
  "/trees?limit=50",
  "/trees?active=true&limit=50",
  "/stats",
];
/** These count all that is open, which is more where more is: 100,000 pending runs, and 1,000 trees of those that wait. */
const COUNTS_OPEN: ReadonlySet<string> = new Set(["GET /trees?active=true&limit=50", "GET /stats"]);
/** Behind the other: enough that its lists are as long. */
const LITTLE = { ended: 1_000, pending: 500 };
type Filling = Parameters<typeof fillDatabase>[1];
const AIM = { of: "ratio", bound: 1.1 } as const;

/** What one call takes of a coordinator with a long life and a long queue, and of one with a short one. */
export const growth: Item = {
  name: "growth",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const filling = quick ? { ended: 10_000, pending: 1_000 } : { ended: 1_000_000, pending: 100_000 };
    const [little, full] = [await Side.start(scene, "little", LITTLE), await Side.start(scene, "full", filling)];
    const rounds = { warmUp: 20, samples: quick ? 20 : 300 };
    const figures: Figure[] = [];
    for (const what of Object.keys(little.calls)) {
      const [limit = [], measured = []] = await takeTurns(
        rounds,
        () => timed(little.calls[what] ?? nothing),
        () => timed(full.calls[what] ?? nothing),
      );
      const limitIs = `the same call of a coordinator with ${behindOf(LITTLE)}, in turn`;
      const aim = COUNTS_OPEN.has(what) ? {} : { aim: AIM };
      figures.push({
        item: "growth",
        what: `${what} with ${behindOf(filling)}`,
        unit: "ms",
        better: "lower",
        measured: summarise(measured),
        limit: summarise(limit),
        limitIs,
        ...aim,
      });
    }
    const memory = {
      item: "growth",
      what: `memory of the coordinator with ${behindOf(filling)}`,
      unit: "MiB",
      better: "lower",
    } as const;
    figures.push({
      ...memory,
      measured: single(full.residentMiB),
      limit: single(little.residentMiB),
      limitIs: `that of the one with ${behindOf(LITTLE)}, after the same calls`,
      aim: { of: "ratio", bound: 1.2 },
    });
    return figures;
  },
};

function behindOf({ ended, pending }: Filling): string {
  return `${ended.toLocaleString("en")} ended and ${pending.toLocaleString("en")} pending`;
}

async function nothing(): Promise<void> {}

class Side {
  readonly calls: Readonly<Record<string, () => Promise<unknown>>>;

  private constructor(
    url: string,
    readonly pid: number,
    runnerId: string,
  ) {
    const read = async (path: string): Promise<unknown> => (await fetch(url + path)).json();
    const claim = async (): Promise<void> => {
      const { run } = (await read(`/runner/runs?runner_id=${runnerId}`)) as { run: { run_id: string } };
      this.#claimed.push(run.run_id);
    };
    const complete = async (): Promise<unknown> =>
      postJson(`${url}/runner/runs/${this.#claimed.pop()}/completed`, { runner_id: runnerId, status: "success" });
    const lists = LISTS.map((path) => [`GET ${path}`, () => read(path)] as const);
    this.calls = {
      "POST /runs": () => createRun(url),
      "a claim": claim,
      "a completed run": complete,
      ...Object.fromEntries(lists),
    };
  }

  readonly #claimed: string[] = [];

  get residentMiB(): number {
    return memoryOf(this.pid).residentKiB / 1024;
  }

  static async start(scene: Scene, name: string, filling: Filling): Promise<Side> {
    const stateDir = scene.path(`growth.${name}`);
    await scene.leave((await scene.coordinator(stateDir)).program);
    fillDatabase(`${stateDir}/coordinator.sqlite`, filling);
    const { url, program } = await scene.coordinator(stateDir);
    return new Side(url, program.pid, await registerRunner(url));
  }
}
