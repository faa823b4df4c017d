import { createRun, postJson, START_RUN } from "./calls.ts";
import type { Item } from "./figure.ts";
import type { LineReader } from "./program.ts";
import { Scene } from "./scene.ts";
import { shimmedCommand } from "./shimmed.ts";
import { summarise, takeTurns } from "./statistics.ts";

/** How long it takes from the sending of `POST /runs` until the executor has done its first instruction. */
export const dispatch: Item = {
  name: "dispatch",
  async measure({ quick }) {
    await using scene = new Scene();
    const bell = scene.bell();
    const executor = scene.executor("rings", `echo "$AGENT_SESSION_ID" >${bell.path}`);
    const throughRunner = await dispatchedBy(scene, bell, executor);
    const server = await scene.limitServer();
    const shim = shimmedCommand(scene, executor);
    const limits = { scene, bell, serverUrl: server.url };
    const [measured = [], bare = [], shimmed = []] = await takeTurns(
      { warmUp: 10, samples: quick ? 20 : 300 },
      throughRunner,
      () => untilFirstInstruction(limits, [executor]),
      () => untilFirstInstruction(limits, shim()),
    );
    const common = { item: "dispatch", unit: "ms", better: "lower", measured: summarise(measured) } as const;
    const roundTrip =
      "a POST to a bare server on loopback and its answer, then one spawn of the same executor, until its first instruction";
    return [
      {
        ...common,
        what: "POST /runs to first instruction",
        limit: summarise(bare),
        limitIs: roundTrip,
        aim: { of: "ratio", bound: 2 },
      },
      {
        ...common,
        what: "the same, against a spawn under the shim",
        limit: summarise(shimmed),
        limitIs: `${roundTrip}, the executor under the runner's shim`,
      },
    ];
  },
};

type Bell = ReturnType<Scene["bell"]>;

/** A coordinator and a runner. Gives the milliseconds from the sending of `POST /runs` until the executor rings. */
export async function dispatchedBy(scene: Scene, bell: Bell, executor: string): Promise<() => Promise<number>> {
  const { url, program } = await scene.coordinator();
  await scene.runner(url, executor);
  return async () => {
    const ended = program.lines.next((line) => line.includes("Run completed") || null);
    const ms = await untilRung(bell.lines, () => createRun(url));
    await ended;
    return ms;
  };
}

/** Where the limits spawn, ring and post. */
export interface SpawnLimits {
  readonly scene: Scene;
  readonly bell: Bell;
  readonly serverUrl: string;
}

/** So many round trips to a bare server, one after the other, and the spawn of `command`, until its executor has done its first instruction. */
export async function untilFirstInstruction(
  { scene, bell, serverUrl }: SpawnLimits,
  command: string[],
  posts = 1,
): Promise<number> {
  let exited: Promise<number> | undefined;
  const ms = await untilRung(bell.lines, async () => {
    for (let sent = 0; sent < posts; sent++) await postJson(`${serverUrl}/echo`, START_RUN);
    exited = Bun.spawn(command, {
      env: { ...scene.env, AGENT_SESSION_ID: "ses_limit" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    }).exited;
  });
  await exited;
  return ms;
}

async function untilRung(bell: LineReader, begin: () => Promise<unknown>): Promise<number> {
  const rung = bell.next(() => true);
  const begunMs = performance.now();
  await begin();
  return (await rung).atMs - begunMs;
}
