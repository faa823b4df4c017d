import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createRun } from "./calls.ts";
import type { Item } from "./figure.ts";
import type { LineReader } from "./program.ts";
import { Scene } from "./scene.ts";
import { summarise, takeTurns } from "./statistics.ts";

const BLOCK_BYTES = 256 * 1024;
const PROBE_EVERY_MS = 5;

/** An executor that floods its output: does it write as fast as into a file of its own, and is the runner's event loop free meanwhile? */
export const output: Item = {
  name: "output",
  async measure({ quick }) {
    await using scene = new Scene();
    const mebibytes = quick ? 64 : 1024;
    const bell = scene.bell();
    const flood = `dd if=/dev/zero bs=${BLOCK_BYTES} count=${(mebibytes * 1024 ** 2) / BLOCK_BYTES} 2>/dev/null`;
    const executor = scene.executor(
      "floods",
      `echo "begin $AGENT_ORCHESTRATOR_API_URL" >${bell.path}`,
      flood,
      `echo end >${bell.path}`,
    );
    const { url, program } = await scene.coordinator();
    const runner = await scene.runner(url, executor);
    const server = await scene.limitServer();
    const delays = new LoopDelays(server.url);

    const throughRunner = async (probed?: LoopDelays): Promise<number> => {
      const ended = program.lines.next((line) => line.includes("Run completed") || null);
      let runId = "";
      const ms = await floodTime(bell.lines, async () => void ({ run_id: runId } = await createRun(url)), probed);
      await ended;
      // As that of the limit is: what the disk has still to take would hold up the next one.
      rmSync(join(scene.path("runner"), "runs", runId, "stdout"));
      return ms;
    };
    const rounds = { warmUp: quick ? 0 : 1, samples: quick ? 2 : 10 };
    // The probing takes a part of the machine, too: what it is there for has floods of its own.
    const [measured = [], limit = []] = await takeTurns(
      rounds,
      () => throughRunner(),
      () => byItself(scene, executor, bell.lines),
      () => throughRunner(delays),
    );
    await scene.leave(runner);
    await scene.runner(url, executor, { env: { RUNNER_OUTPUT_LIMIT: "0" } });
    const [unbounded = [], limitThen = []] = await takeTurns(
      rounds,
      () => throughRunner(),
      () => byItself(scene, executor, bell.lines),
    );
    const limitIs = "the same executor by itself, its output a file in append mode";
    const common = { item: "output", unit: "ms", better: "lower" } as const;
    return [
      {
        ...common,
        what: `an executor writes ${mebibytes} MiB`,
        measured: summarise(measured),
        limit: summarise(limit),
        limitIs,
        aim: { of: "ratio", bound: 1.2 },
      },
      {
        ...common,
        what: "the same, nothing of it dropped",
        measured: summarise(unbounded),
        limit: summarise(limitThen),
        limitIs: `${limitIs}; the runner with RUNNER_OUTPUT_LIMIT=0`,
      },
      {
        ...common,
        what: "the runner's loop answers meanwhile",
        measured: summarise(delays.ofRunner),
        limit: summarise(delays.ofLimit),
        limitIs: "the answer of a bare server in another process, asked in the same moments",
        aim: { of: "p99", bound: 20 },
      },
    ];
  },
};

async function byItself(scene: Scene, executor: string, bell: LineReader): Promise<number> {
  const file = scene.path("flood");
  const fd = openSync(file, "a");
  let exited: Promise<number> | undefined;
  const ms = await floodTime(bell, async () => {
    exited = Bun.spawn([executor], { env: { ...scene.env }, stdin: "ignore", stdout: fd, stderr: "ignore" }).exited;
  });
  await exited;
  closeSync(fd);
  rmSync(file);
  return ms;
}

/** From the moment before the first byte to the moment after the last, as the executor itself tells it. */
async function floodTime(bell: LineReader, begin: () => Promise<unknown>, delays?: LoopDelays): Promise<number> {
  const begun = bell.next((line) => /^begin ?(.*)/.exec(line)?.[1] ?? null);
  const ended = bell.next((line) => line === "end" || null);
  await begin();
  const { value: gatewayUrl, atMs } = await begun;
  const stop = delays?.probe(new URL(gatewayUrl).origin);
  const ms = (await ended).atMs - atMs;
  await stop?.();
  return ms;
}

/** Asks the runner's gateway for what it refuses at once: the time until the answer is how long its event loop was busy with other things. */
class LoopDelays {
  readonly ofRunner: number[] = [];
  readonly ofLimit: number[] = [];

  constructor(readonly limitUrl: string) {}

  /** Asks every few milliseconds until the returned function is called. */
  probe(gatewayUrl: string): () => Promise<void> {
    let isEnded = false;
    const ask = async (): Promise<void> => {
      while (!isEnded) {
        this.ofRunner.push(await answerTime(`${gatewayUrl}/no-such-token`));
        this.ofLimit.push(await answerTime(`${this.limitUrl}/no-such-token`));
        await Bun.sleep(PROBE_EVERY_MS);
      }
    };
    const asking = ask();
    return () => {
      isEnded = true;
      return asking;
    };
  }
}

async function answerTime(url: string): Promise<number> {
  const begunMs = performance.now();
  await (await fetch(url)).text();
  return performance.now() - begunMs;
}
