import { createRun, postJson, START_RUN } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import type { LineReader, Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { shimmedCommand } from "./shimmed.ts";
import { type Rounds, summarise, interleave } from "./statistics.ts";

const EXIT = "the exit of the same executor, seen by waitpid, then";

/** The time from the executor's last instruction until the coordinator has the report. */
export const completion: Item = {
  name: "completion",
  async measure({ quick }) {
    await using scene = new Scene();
    const server = await scene.limitServer();
    const { url, program } = await scene.coordinator();
    const rounds = { warmUp: 10, samples: quick ? 20 : 300 };
    const parts = { scene, url, program, server, rounds };
    // A failure sends one report. A success without events from the executor sends session_stop, then the report.
    return [
      ...(await exitFigures(1, { what: "exit 1 to report", posts: 1, arrival: "Run failed" }, parts)),
      ...(await exitFigures(
        0,
        { what: "exit 0 to session_stop and report", posts: 2, arrival: "Run completed" },
        parts,
      )),
    ];
  },
};

interface Parts {
  readonly scene: Scene;
  readonly url: string;
  readonly program: Program;
  readonly server: { readonly url: string; readonly program: Program };
  readonly rounds: Rounds;
}

interface Ending {
  readonly what: string;
  /** The number of requests, sent one after the other. */
  readonly posts: number;
  /** The coordinator's log line for the report. */
  readonly arrival: string;
}

/**
 * Submits a run to a coordinator with a waiting runner. Resolves to the milliseconds from the executor's last line in
 * the FIFO until the report has arrived.
 */
export async function completedBy(
  coordinator: { readonly url: string; readonly program: Program },
  fifo: LineReader,
  arrival: string,
): Promise<number> {
  const [last, reported] = [
    fifo.next(() => true),
    coordinator.program.lines.next((line) => line.includes(arrival) || null),
  ];
  await createRun(coordinator.url);
  return (await reported).atMs - (await last).atMs;
}

async function exitFigures(
  code: number,
  { what, posts, arrival }: Ending,
  { scene, url, program, server, rounds }: Parts,
): Promise<Figure[]> {
  const fifo = scene.fifo();
  const executor = scene.executor(`exits-${code}`, `echo end >${fifo.path}`, `exit ${code}`);
  const runner = await scene.runner(url, executor);
  const shim = shimmedCommand(scene, executor);
  const throughRunner = (): Promise<number> => completedBy({ url, program }, fifo.lines, arrival);
  const byPost = async (command: string[]): Promise<number> => {
    const last = fifo.lines.next(() => true);
    await Bun.spawn(command, { env: { ...scene.env }, stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
    for (let sent = 1; sent < posts; sent++) await postJson(`${server.url}/echo`, START_RUN);
    const arrived = server.program.lines.next((line) => line === "arrived" || null);
    await postJson(`${server.url}/echo`, START_RUN);
    return (await arrived).atMs - (await last).atMs;
  };
  const [measured = [], bare = [], shimmed = []] = await interleave(
    rounds,
    throughRunner,
    () => byPost([executor]),
    () => byPost(shim()),
  );
  await scene.shutDown(runner);
  const sends = `${EXIT} ${posts} POST to a bare server on loopback, until the last one has arrived`;
  const common = { item: "completion", unit: "ms", better: "lower", measured: summarise(measured) } as const;
  return [
    { ...common, what, limit: summarise(bare), limitIs: sends, aim: { of: "ratio", bound: 2 } },
    {
      ...common,
      what: `${what}, limit under the shim`,
      limit: summarise(shimmed),
      limitIs: `${sends}, under the runner's shim`,
    },
  ];
}
