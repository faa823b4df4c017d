import { createRun, eventOf, inLanes, postJson, registerRunner, START_RUN } from "./calls.ts";
import { fanOutFigure } from "./fan-out.ts";
import type { Figure, Item } from "./figure.ts";
import { fillDatabase } from "./fill-database.ts";
import { Scene } from "./scene.ts";
import { summarise, takeTurns, timed } from "./statistics.ts";
import { waitingRunnersFigures } from "./waiting-runners.ts";

const AT_ONCE = 16;
export const OPERATIONS = ["creates", "claims", "events"] as const;
export type Rates = Readonly<Record<(typeof OPERATIONS)[number], number>>;
/** Does `work`, which is `count` operations, and gives a figure of one of them or of all. */
type Gauge = (count: number, work: () => Promise<unknown>) => Promise<number>;

/** What the embedded coordinator carries, by how many runs it has behind it. */
export const coordinator: Item = {
  name: "coordinator",
  async measure({ quick }) {
    await using scene = new Scene();
    const behind = quick ? [0, 10_000] : [0, 100_000, 1_000_000];
    const sides: Side[] = [];
    for (const runs of behind) sides.push(await Side.start(scene, runs));
    const server = await scene.limitServer();
    const block = quick ? 50 : 200;
    const insert = () =>
      rateOf(block, () => inLanes(block, AT_ONCE, () => postJson(`${server.url}/insert`, START_RUN)));
    const [limit = [], ...rates] = await takeTurns<Rates>(
      { warmUp: 1, samples: quick ? 3 : 25 },
      async () => ({ creates: await insert(), claims: await insert(), events: await insert() }),
      ...sides.map((side) => () => side.measure(block)),
    );
    const figures = behind.flatMap((runs, index) =>
      figuresOf(runs, rates[index] ?? [], index === 0 ? limit : (rates[0] ?? []), index === 0),
    );
    const rounds = { warmUp: 5, samples: quick ? 20 : 200 };
    return [
      ...figures,
      await fanOutFigure(sides[0]?.url ?? "", server.url, rounds),
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
    const what = `${operation} with ${runs.toLocaleString("en")} runs behind`;
    if (isEmpty)
      return {
        ...common,
        what,
        limitIs: "a POST to a bare server that inserts one row into SQLite in one transaction, with the same settings",
      };
    return {
      ...common,
      what,
      limitIs: `the ${operation} of a coordinator without runs behind it, in the same minutes`,
      aim: { of: "ratio", bound: 0.9 },
    };
  });
}

/** One coordinator with so many runs behind it, and runners that claim from it. */
export class Side {
  readonly #runnerIds: readonly string[];

  private constructor(
    readonly url: string,
    readonly pid: number,
    runnerIds: readonly string[],
  ) {
    this.#runnerIds = runnerIds;
  }

  static async start(scene: Scene, runs: number): Promise<Side> {
    const stateDir = scene.path(`behind.${runs}`);
    if (runs > 0) {
      await scene.leave((await scene.coordinator(stateDir)).program);
      fillDatabase(`${stateDir}/coordinator.sqlite`, { ended: runs, pending: 0 });
    }
    const { url, program } = await scene.coordinator(stateDir);
    return new Side(
      url,
      program.pid,
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => registerRunner(url, `/project/${index}`))),
    );
  }

  /** Creates, claims and ends a block of runs, and sends as many events. `gauge` is handed each of the three and gives its figure. */
  async measure(block: number, gauge: Gauge = rateOf): Promise<Rates> {
    const { url } = this;
    const created = await createRun(url);
    const creates = await gauge(block, () => inLanes(block - 1, AT_ONCE, () => createRun(url)));
    const claimed: { runId: string; runnerId: string }[] = [];
    const claims = await gauge(block, () => this.#claim(block, claimed));
    const events = await gauge(block, () =>
      inLanes(block, AT_ONCE, () =>
        postJson(`${url}/sessions/${created.session_id}/events`, eventOf(created.session_id)),
      ),
    );
    await inLanes(block, AT_ONCE, async (index) => {
      const run = claimed[index];
      if (run !== undefined)
        await postJson(`${url}/runner/runs/${run.runId}/completed`, { runner_id: run.runnerId, status: "success" });
    });
    for (const runnerId of this.#runnerIds) await postJson(`${url}/runner/heartbeat`, { runner_id: runnerId });
    return { creates, claims, events };
  }

  /** A runner polls once at a time; there are as many as there are lanes. */
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
