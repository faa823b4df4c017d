import { createRun, eventOf, inParallel, postJson, registerRunner, START_RUN } from "./calls.ts";
import { fanOutFigure } from "./fan-out.ts";
import type { Figure, Item } from "./figure.ts";
import { fillDatabase } from "./fill-database.ts";
import { Scene } from "./scene.ts";
import { summarise, interleave, timed } from "./statistics.ts";
import { waitingRunnersFigures } from "./waiting-runners.ts";

const CONCURRENCY = 16;
export const OPERATIONS = ["creates", "claims", "events"] as const;
export type Rates = Readonly<Record<(typeof OPERATIONS)[number], number>>;
/** Measures `work`, which consists of `count` operations. */
type Gauge = (count: number, work: () => Promise<unknown>) => Promise<number>;

/** The throughput of the embedded coordinator, by the number of runs in its database. */
export const coordinator: Item = {
  name: "coordinator",
  async measure({ quick }) {
    await using scene = new Scene();
    const sizes = quick ? [0, 10_000] : [0, 100_000, 1_000_000];
    const coordinators: FilledCoordinator[] = [];
    for (const runs of sizes) coordinators.push(await FilledCoordinator.start(scene, runs));
    const server = await scene.limitServer();
    const block = quick ? 50 : 200;
    const insert = () =>
      rateOf(block, () => inParallel(block, CONCURRENCY, () => postJson(`${server.url}/insert`, START_RUN)));
    const [limit = [], ...rates] = await interleave<Rates>(
      { warmUp: 1, samples: quick ? 3 : 25 },
      async () => ({ creates: await insert(), claims: await insert(), events: await insert() }),
      ...coordinators.map((each) => () => each.measure(block)),
    );
    const figures = sizes.flatMap((runs, index) =>
      figuresOf(runs, rates[index] ?? [], index === 0 ? limit : (rates[0] ?? []), index === 0),
    );
    const rounds = { warmUp: 5, samples: quick ? 20 : 200 };
    return [
      ...figures,
      await fanOutFigure(coordinators[0]?.url ?? "", server.url, rounds),
      ...(await waitingRunnersFigures(scene, rounds)),
    ];
  },
};

function figuresOf(runs: number, rates: readonly Rates[], limit: readonly Rates[], isEmpty: boolean): Figure[] {
  return OPERATIONS.map((operation): Figure => {
    const pick = (of: readonly Rates[]) =>
      summarise(
        of.map((round) => round[operation]),
        "higher",
      );
    const common = {
      item: "coordinator",
      unit: "1/s",
      better: "higher",
      measured: pick(rates),
      limit: pick(limit),
    } as const;
    const what = `${operation} with ${runs.toLocaleString("en")} stored runs`;
    if (isEmpty)
      return {
        ...common,
        what,
        limitIs: "a POST to a bare server that inserts one row into SQLite in one transaction, and waits for no disk",
      };
    return {
      ...common,
      what,
      limitIs: `${operation} of a coordinator without stored runs, interleaved`,
      aim: { of: "ratio", bound: 0.9 },
    };
  });
}

/** A coordinator with runs in its database, and the runners that claim from it. */
export class FilledCoordinator {
  readonly #runnerIds: readonly string[];

  private constructor(
    readonly url: string,
    readonly pid: number,
    runnerIds: readonly string[],
  ) {
    this.#runnerIds = runnerIds;
  }

  /** `durability`: the setting of that name. */
  static async start(scene: Scene, runs: number, durability = "disk"): Promise<FilledCoordinator> {
    const stateDir = scene.path(`stored.${runs}.${durability}`);
    if (runs > 0) {
      await scene.shutDown((await scene.coordinator(stateDir)).program);
      fillDatabase(`${stateDir}/coordinator.sqlite`, { ended: runs, pending: 0 });
    }
    const { url, program } = await scene.coordinator(stateDir, { AGENT_COORDINATOR_DURABILITY: durability });
    return new FilledCoordinator(
      url,
      program.pid,
      await Promise.all(Array.from({ length: CONCURRENCY }, (_, index) => registerRunner(url, `/project/${index}`))),
    );
  }

  /** Creates, claims and ends a block of runs, and sends as many events. Calls `gauge` for each operation. */
  async measure(block: number, gauge: Gauge = rateOf): Promise<Rates> {
    const { url } = this;
    const created = await createRun(url);
    const creates = await gauge(block, () => inParallel(block - 1, CONCURRENCY, () => createRun(url)));
    const claimed: { runId: string; runnerId: string }[] = [];
    const claims = await gauge(block, () => this.#claim(block, claimed));
    const events = await gauge(block, () =>
      inParallel(block, CONCURRENCY, () =>
        postJson(`${url}/sessions/${created.session_id}/events`, eventOf(created.session_id)),
      ),
    );
    await inParallel(block, CONCURRENCY, async (index) => {
      const run = claimed[index];
      if (run !== undefined)
        await postJson(`${url}/runner/runs/${run.runId}/completed`, { runner_id: run.runnerId, status: "success" });
    });
    for (const runnerId of this.#runnerIds) await postJson(`${url}/runner/heartbeat`, { runner_id: runnerId });
    return { creates, claims, events };
  }

  /** A runner has one poll at a time, so each parallel lane has its own runner. */
  async #claim(block: number, claimed: { runId: string; runnerId: string }[]): Promise<void> {
    let left = block;
    const poll = async (runnerId: string): Promise<void> => {
      while (left-- > 0) {
        const answer = (await (await fetch(`${this.url}/runner/runs?runner_id=${runnerId}`)).json()) as {
          run: { run_id: string };
        };
        claimed.push({ runId: answer.run.run_id, runnerId });
      }
    };
    await Promise.all(this.#runnerIds.map(poll));
  }
}

async function rateOf(count: number, work: () => Promise<unknown>): Promise<number> {
  return (count / (await timed(work))) * 1000;
}
