import { createRun, postJson, START_RUN } from "./calls.ts";
import type { Item } from "./figure.ts";
import type { LineReader } from "./program.ts";
import { Scene } from "./scene.ts";
import { shimmedCommand } from "./shimmed.ts";
import { summarise, interleave } from "./statistics.ts";

/** The time from sending `POST /runs` until the executor has completed its first instruction. */
export const dispatch: Item = {
  name: "dispatch",
  async measure({ quick }) {
    await using scene = new Scene();
    const fifo = scene.fifo();
    const executor = scene.executor("signals", `echo "$AGENT_SESSION_ID" >${fifo.path}`);
    const throughRunner = await dispatchedBy(scene, fifo, executor);
    const server = await scene.limitServer();
    const shim = shimmedCommand(scene, executor);
    const limits = { scene, fifo, serverUrl: server.url };
    const [measured = [], bare = [], shimmed = []] = await interleave(
      { warmUp: 10, samples: quick ? 20 : 300 },
      throughRunner,
      () => untilFirstInstruction(limits, [executor]),
      () => untilFirstInstruction(limits, shim()),
    );
    const common = { item: "dispatch", unit: "ms", better: "lower", measured: summarise(measured) } as const;
    const roundTrip =
      "a round trip to a bare server on loopback, then one spawn of the same executor, until its first instruction";
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
        what: "the same, limit under the shim",
        limit: summarise(shimmed),
        limitIs: `${roundTrip}, under the runner's shim`,
      },
    ];
  },
};

type Fifo = ReturnType<Scene["fifo"]>;

/**
 * Starts a coordinator and a runner. Each call of the returned function submits a run, and resolves to the milliseconds
 * from sending `POST /runs` until the executor writes to the FIFO.
 */
export async function dispatchedBy(scene: Scene, fifo: Fifo, executor: string): Promise<() => Promise<number>> {
  const { url, program } = await scene.coordinator();
  await scene.runner(url, executor);
  return async () => {
    const ended = program.lines.next((line) => line.includes("Run completed") || null);
    const ms = await untilSignal(fifo.lines, () => createRun(url));
    await ended;
    return ms;
  };
}

/** What the limits need to spawn, signal and post. */
export interface SpawnLimits {
  readonly scene: Scene;
  readonly fifo: Fifo;
  readonly serverUrl: string;
}

/** Milliseconds for `posts` round trips to a bare server, then a spawn of `command`, until its first instruction. */
export async function untilFirstInstruction(
  { scene, fifo, serverUrl }: SpawnLimits,
  command: string[],
  posts = 1,
): Promise<number> {
  let exited: Promise<number> | undefined;
  const ms = await untilSignal(fifo.lines, async () => {
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

async function untilSignal(fifo: LineReader, begin: () => Promise<unknown>): Promise<number> {
  const signal = fifo.next(() => true);
  const startMs = performance.now();
  await begin();
  return (await signal).atMs - startMs;
}
