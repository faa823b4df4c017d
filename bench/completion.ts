import { createRun, postJson, START_RUN } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import type { LineReader, Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { shimmedCommand } from "./shimmed.ts";
import { type Rounds, summarise, takeTurns } from "./statistics.ts";

const EXIT = "the same executor's exit, seen by waitpid, then";

/** How long it takes from the executor's last instruction until the coordinator has its report. */
export const completion: Item = {
  name: "completion",
  async measure({ quick }) {
    await using scene = new Scene();
    const server = await scene.limitServer();
    const { url, program } = await scene.coordinator();
    const rounds = { warmUp: 10, samples: quick ? 20 : 300 };
    const parts = { scene, url, program, server, rounds };
    // A failure is one report. A success whose executor has sent nothing is an event (session_stop) and then the report.
    return [
      ...(await ofExit(1, { what: "exit 1 to its report", posts: 1, arrival: "Run failed" }, parts)),
      ...(await ofExit(0, { what: "exit 0 to session_stop and report", posts: 2, arrival: "Run completed" }, parts)),
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
  /** What has to be sent, one after the other. */
  readonly posts: number;
  /** How the coordinator's log tells that the report is there. */
  readonly arrival: string;
}

/** A run through a coordinator and the runner that waits there: milliseconds from the ringing of its executor, which then ends, until the report is there. */
export async function completedBy(
  coordinator: { readonly url: string; readonly program: Program },
  bell: LineReader,
  arrival: string,
): Promise<number> {
  const [last, reported] = [
    bell.next(() => true),
    coordinator.program.lines.next((line) => line.includes(arrival) || null),
  ];
  await createRun(coordinator.url);
  return (await reported).atMs - (await last).atMs;
}

async function ofExit(
  code: number,
  { what, posts, arrival }: Ending,
  { scene, url, program, server, rounds }: Parts,
): Promise<Figure[]> {
  const bell = scene.bell();
  const executor = scene.executor(`exits-${code}`, `echo end >${bell.path}`, `exit ${code}`);
  const runner = await scene.runner(url, executor);
  const shim = shimmedCommand(scene, executor);
  const throughRunner = (): Promise<number> => completedBy({ url, program }, bell.lines, arrival);
  const byPost = async (command: string[]): Promise<number> => {
    const last = bell.lines.next(() => true);
    await Bun.spawn(command, { env: { ...scene.env }, stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
    for (let sent = 1; sent < posts; sent++) await postJson(`${server.url}/echo`, START_RUN);
    const arrived = server.program.lines.next((line) => line === "arrived" || null);
    await postJson(`${server.url}/echo`, START_RUN);
    return (await arrived).atMs - (await last).atMs;
  };
  const [measured = [], bare = [], shimmed = []] = await takeTurns(
    rounds,
    throughRunner,
    () => byPost([executor]),
    () => byPost(shim()),
  );
  await scene.leave(runner);
  const sends = `${EXIT} ${posts} POST to a bare server on loopback, until the last has arrived there`;
  const common = { item: "completion", unit: "ms", better: "lower", measured: summarise(measured) } as const;
  return [
    { ...common, what, limit: summarise(bare), limitIs: sends, aim: { of: "ratio", bound: 2 } },
    {
      ...common,
      what: `${what}, against the shim's exit`,
      limit: summarise(shimmed),
      limitIs: `${sends}, the executor under the runner's shim`,
    },
  ];
}
