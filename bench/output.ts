import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createRun } from "./calls.ts";
import type { Item } from "./figure.ts";
import type { LineReader } from "./program.ts";
import { Scene } from "./scene.ts";
import { summarise, interleave } from "./statistics.ts";

const BLOCK_BYTES = 256 * 1024;
const PROBE_EVERY_MS = 5;

/** An executor that floods its output: its write speed, and the delay of the runner's event loop meanwhile. */
export const output: Item = {
  name: "output",
  async measure({ quick }) {
    await using scene = new Scene();
    const mebibytes = quick ? 64 : 1024;
    const fifo = scene.fifo();
    const flood = `dd if=/dev/zero bs=${BLOCK_BYTES} count=${(mebibytes * 1024 ** 2) / BLOCK_BYTES} 2>/dev/null`;
    const executor = scene.executor(
      "floods",
      `echo "begin $AGENT_ORCHESTRATOR_API_URL" >${fifo.path}`,
      flood,
      `echo end >${fifo.path}`,
    );
    const { url, program } = await scene.coordinator();
    const runner = await scene.runner(url, executor);
    const server = await scene.limitServer();
    const delays = new LoopDelays(server.url);

    const throughRunner = async (probed?: LoopDelays): Promise<number> => {
      const ended = program.lines.next((line) => line.includes("Run completed") || null);
      let runId = "";
      const ms = await floodTime(fifo.lines, async () => void ({ run_id: runId } = await createRun(url)), probed);
      await ended;
      // The limit removes its file too. Unwritten pages would slow the next flood down.
      rmSync(join(scene.path("runner"), "runs", runId, "stdout"));
      return ms;
    };
    const rounds = { warmUp: quick ? 0 : 1, samples: quick ? 2 : 10 };
    // Probing uses CPU time, so the delays are measured in floods of their own.
    const [measured = [], limit = []] = await interleave(
      rounds,
      () => throughRunner(),
      () => withoutRunner(scene, executor, fifo.lines),
      () => throughRunner(delays),
    );
    await scene.shutDown(runner);
    await scene.runner(url, executor, { env: { RUNNER_OUTPUT_LIMIT: "0" } });
    const [unlimited = [], secondLimit = []] = await interleave(
      rounds,
      () => throughRunner(),
      () => withoutRunner(scene, executor, fifo.lines),
    );
    const limitIs = "the same executor without a runner, its output a file in append mode";
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
        what: "the same, without an output limit",
        measured: summarise(unlimited),
        limit: summarise(secondLimit),
        limitIs: `${limitIs}; the runner with RUNNER_OUTPUT_LIMIT=0`,
      },
      {
        ...common,
        what: "event loop delay of the runner meanwhile",
        measured: summarise(delays.ofRunner),
        limit: summarise(delays.ofLimit),
        limitIs: "the response time of a bare server in another process, probed at the same time",
        aim: { of: "p99", bound: 20 },
      },
    ];
  },
};

async function withoutRunner(scene: Scene, executor: string, fifo: LineReader): Promise<number> {
  const file = scene.path("flood");
  const fd = openSync(file, "a");
  let exited: Promise<number> | undefined;
  const ms = await floodTime(fifo, async () => {
    exited = Bun.spawn([executor], { env: { ...scene.env }, stdin: "ignore", stdout: fd, stderr: "ignore" }).exited;
  });
  await exited;
  closeSync(fd);
  rmSync(file);
  return ms;
}

/** Milliseconds from before the first byte until after the last, signalled by the executor itself. */
async function floodTime(fifo: LineReader, begin: () => Promise<unknown>, delays?: LoopDelays): Promise<number> {
  const started = fifo.next((line) => /^begin ?(.*)/.exec(line)?.[1] ?? null);
  const ended = fifo.next((line) => line === "end" || null);
  await begin();
  const { value: gatewayUrl, atMs } = await started;
  const stop = delays?.probe(new URL(gatewayUrl).origin);
  const ms = (await ended).atMs - atMs;
  await stop?.();
  return ms;
}

/**
 * Sends the runner's gateway requests that it rejects at once. The response time is the time in which the event loop
 * was busy.
 */
class LoopDelays {
  readonly ofRunner: number[] = [];
  readonly ofLimit: number[] = [];

  constructor(readonly limitUrl: string) {}

  /** Probes every few milliseconds until the returned function is called. */
  probe(gatewayUrl: string): () => Promise<void> {
    let isEnded = false;
    const probe = async (): Promise<void> => {
      while (!isEnded) {
        this.ofRunner.push(await responseTime(`${gatewayUrl}/no-such-token`));
        this.ofLimit.push(await responseTime(`${this.limitUrl}/no-such-token`));
        await Bun.sleep(PROBE_EVERY_MS);
      }
    };
    const probing = probe();
    return () => {
      isEnded = true;
      return probing;
    };
  }
}

async function responseTime(url: string): Promise<number> {
  const startMs = performance.now();
  await (await fetch(url)).text();
  return performance.now() - startMs;
}
