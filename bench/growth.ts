import { createRun, postJson, registerRunner } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { fillDatabase } from "./fill-database.ts";
import { memoryOf } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { single, summarise, interleave, timed } from "./statistics.ts";

/** The lists that a dashboard reads. */
const LISTS = [
  "/runs?limit=50",
  "/runs?status=failed&limit=50",
  "/runs?status=pending&limit=50",
  "/sessions?limit=50",
  "/trees?limit=50",
  "/trees?active=true&limit=50",
  "/stats",
];
/** These count every open run, or up to 1,000 waiting trees. They have no aim: more open runs take longer. */
const COUNTS_OPEN: ReadonlySet<string> = new Set(["GET /trees?active=true&limit=50", "GET /stats"]);
/** The baseline: enough rows for lists of the same length. */
const BASELINE = { ended: 1_000, pending: 500 };
type Filling = Parameters<typeof fillDatabase>[1];
const AIM = { of: "ratio", bound: 1.1 } as const;

/** The time of single calls to a coordinator with many runs, compared with a coordinator with few. */
export const growth: Item = {
  name: "growth",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const filling = quick ? { ended: 10_000, pending: 1_000 } : { ended: 1_000_000, pending: 100_000 };
    const baseline = await FilledCoordinator.start(scene, "baseline", BASELINE);
    const full = await FilledCoordinator.start(scene, "full", filling);
    const rounds = { warmUp: 20, samples: quick ? 20 : 300 };
    const figures: Figure[] = [];
    for (const what of Object.keys(baseline.calls)) {
      const [limit = [], measured = []] = await interleave(
        rounds,
        () => timed(baseline.calls[what] ?? nothing),
        () => timed(full.calls[what] ?? nothing),
      );
      const limitIs = `the same call to a coordinator with ${describeFilling(BASELINE)}, interleaved`;
      const aim = COUNTS_OPEN.has(what) ? {} : { aim: AIM };
      figures.push({
        item: "growth",
        what: `${what} with ${describeFilling(filling)}`,
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
      what: `memory of the coordinator with ${describeFilling(filling)}`,
      unit: "MiB",
      better: "lower",
    } as const;
    figures.push({
      ...memory,
      measured: single(full.residentMiB),
      limit: single(baseline.residentMiB),
      limitIs: `the memory of a coordinator with ${describeFilling(BASELINE)}, after the same calls`,
      aim: { of: "ratio", bound: 1.2 },
    });
    return figures;
  },
};

function describeFilling({ ended, pending }: Filling): string {
  return `${ended.toLocaleString("en")} ended and ${pending.toLocaleString("en")} pending`;
}

async function nothing(): Promise<void> {}

class FilledCoordinator {
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

  static async start(scene: Scene, name: string, filling: Filling): Promise<FilledCoordinator> {
    const stateDir = scene.path(`growth.${name}`);
    await scene.shutDown((await scene.coordinator(stateDir)).program);
    fillDatabase(`${stateDir}/coordinator.sqlite`, filling);
    const { url, program } = await scene.coordinator(stateDir);
    return new FilledCoordinator(url, program.pid, await registerRunner(url));
  }
}
