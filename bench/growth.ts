import { createRun, postJson } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { fillDatabase } from "./fill-database.ts";
import { memoryOf } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { single, summarise, takeTurns, timed } from "./statistics.ts";

/** What is asked of a coordinator, one at a time; the lists as a dashboard asks for them. */
const LISTS = ["/runs?limit=50", "/runs?status=failed&limit=50", "/runs?status=pending&limit=50", "/sessions?limit=50", "/trees?limit=50", "/trees?active=true&limit=50", "/stats"];
/** Their answers are as long where nothing is behind; the others have then nothing, or less, to tell. */
const AS_LONG: ReadonlySet<string> = new Set(["POST /runs", "a claim", "a completed run", "GET /runs?limit=50", "GET /sessions?limit=50"]);
const AIM = { of: "ratio", bound: 1.1 } as const;

/** What one call takes of a coordinator with a long life and a long queue, and of one without. */
export const growth: Item = {
  name: "growth",
  needsLinux: true,
  async measure({ quick }) {
    await using scene = new Scene();
    const filling = quick ? { ended: 10_000, pending: 1_000 } : { ended: 1_000_000, pending: 100_000 };
    const behind = `${filling.ended.toLocaleString("en")} ended and ${filling.pending.toLocaleString("en")} pending`;
    const [empty, full] = [await Side.start(scene, "empty", null), await Side.start(scene, "full", filling)];
    const rounds = { warmUp: 20, samples: quick ? 20 : 300 };
    const figures: Figure[] = [];
    for (const what of Object.keys(empty.calls)) {
      const [limit = [], measured = []] = await takeTurns(rounds, () => timed(empty.calls[what] ?? nothing), () => timed(full.calls[what] ?? nothing));
      const limitIs = "the same call of a coordinator with nothing behind it, in turn";
      const aim = AS_LONG.has(what) ? { aim: AIM } : {};
      figures.push({ item: "growth", what: `${what} with ${behind}`, unit: "ms", better: "lower", measured: summarise(measured), limit: summarise(limit), limitIs, ...aim });
    }
    const memory = { item: "growth", what: `memory of the coordinator with ${behind}`, unit: "MiB", better: "lower" } as const;
    figures.push({ ...memory, measured: single(full.residentMiB), limit: single(empty.residentMiB), limitIs: "that of the one with nothing behind it, after the same calls", aim: { of: "ratio", bound: 1.2 } });
    return figures;
  },
};

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
    const complete = async (): Promise<unknown> => postJson(`${url}/runner/runs/${this.#claimed.pop()}/completed`, { runner_id: runnerId, status: "success" });
    const lists = LISTS.map((path) => [`GET ${path}`, () => read(path)] as const);
    this.calls = { "POST /runs": () => createRun(url), "a claim": claim, "a completed run": complete, ...Object.fromEntries(lists) };
  }

  readonly #claimed: string[] = [];

  get residentMiB(): number {
    return memoryOf(this.pid).residentKiB / 1024;
  }

  static async start(scene: Scene, name: string, filling: Parameters<typeof fillDatabase>[1] | null): Promise<Side> {
    const stateDir = scene.path(`growth.${name}`);
    if (filling !== null) {
      await scene.leave((await scene.coordinator(stateDir)).program);
      fillDatabase(`${stateDir}/coordinator.sqlite`, filling);
    }
    const { url, program } = await scene.coordinator(stateDir);
    const registered = await postJson(`${url}/runner/register`, { hostname: "bench", project_dir: "/project", executor_type: "nothing" });
    return new Side(url, program.pid, (registered as { runner_id: string }).runner_id);
  }
}
