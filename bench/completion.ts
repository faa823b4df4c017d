import { createRun, postJson, START_RUN } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import type { Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { type Rounds, summarise, takeTurns } from "./statistics.ts";

const LIMIT = "the same executor's exit, seen by waitpid, then one POST to a bare server on loopback, until it has arrived there";

/** How long it takes from the executor's last instruction until the coordinator has its report. */
export const completion: Item = {
  name: "completion",
  async measure({ quick }) {
    await using scene = new Scene();
    const server = await scene.limitServer();
    const { url, program } = await scene.coordinator();
    const rounds = { warmUp: 10, samples: quick ? 20 : 300 };
    return [
      // A failure is one report. A success whose executor has sent nothing is an event (session_stop) and then the report.
      await ofExit(1, "exit 1 to its report", { scene, url, program, server, rounds }),
      await ofExit(0, "exit 0 to session_stop and report", { scene, url, program, server, rounds }),
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

async function ofExit(code: number, what: string, { scene, url, program, server, rounds }: Parts): Promise<Figure> {
  const bell = scene.bell();
  const executor = scene.executor(`exits-${code}`, `echo end >${bell.path}`, `exit ${code}`);
  const runner = await scene.runner(url, executor);
  const arrival = code === 0 ? "run completed" : "run failed";
  const [measured = [], limit = []] = await takeTurns(
    rounds,
    async () => {
      const [last, reported] = [bell.lines.next(() => true), program.lines.next((line) => line.includes(arrival) || null)];
      await createRun(url);
      return (await reported).atMs - (await last).atMs;
    },
    async () => {
      const [last, arrived] = [bell.lines.next(() => true), server.program.lines.next((line) => line === "arrived" || null)];
      await Bun.spawn([executor], { env: { ...scene.env }, stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
      await postJson(`${server.url}/echo`, START_RUN);
      return (await arrived).atMs - (await last).atMs;
    },
  );
  await scene.leave(runner);
  const pair = { measured: summarise(measured), limit: summarise(limit), limitIs: LIMIT };
  return { item: "completion", what, unit: "ms", better: "lower", ...pair, aim: { of: "ratio", bound: 2 } };
}
