import { Database } from "bun:sqlite";
import { createRun, postJson, registerRunner, START_RUN } from "../calls.ts";
import { completedBy } from "../completion.ts";
import { dispatchedBy, type SpawnLimits, untilFirstInstruction } from "../dispatch.ts";
import type { Effort, Figure } from "../figure.ts";
import type { Program } from "../program.ts";
import { Scene } from "../scene.ts";
import { shimmedCommand } from "../shimmed.ts";
import { summarise, interleave, timed } from "../statistics.ts";
import { explainFigure } from "./explain-figure.ts";

/** Breaks dispatch and completion down: their indispensable steps, and the coordinator's share of each. */
export async function runFigures({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const samples = quick ? 20 : 200;
  const server = await scene.limitServer();
  return [
    ...(await spawnSteps(scene, server.url, samples)),
    ...(await exitSteps(scene, samples)),
    ...(await callSteps(scene, server, samples)),
    recordFigure(scene, samples),
  ];
}

/** From a run's creation to its executor's first instruction. Each row adds a step. */
async function spawnSteps(scene: Scene, serverUrl: string, samples: number): Promise<Figure[]> {
  const fifo = scene.fifo();
  const executor = scene.executor("signals", `echo started >${fifo.path}`);
  const limits: SpawnLimits = { scene, fifo, serverUrl };
  const shim = shimmedCommand(scene, executor);
  const [bare = [], shell = [], shimmed = [], trips = [], dispatched = []] = await interleave(
    { warmUp: 5, samples },
    () => untilFirstInstruction(limits, [executor]),
    () => untilFirstInstruction(limits, ["/bin/sh", "-c", 'exec "$0"', executor]),
    () => untilFirstInstruction(limits, shim()),
    () => untilFirstInstruction(limits, shim(), 3),
    await dispatchedBy(scene, fifo, executor),
  );
  const before = "the row above";
  return [
    explainFigure("dispatch: one round trip and a spawn", "ms", summarise(bare)),
    explainFigure(
      "dispatch: the spawn through a shell that execs the executor",
      "ms",
      summarise(shell),
      summarise(bare),
      before,
    ),
    explainFigure(
      "dispatch: the spawn under the shim, which forks and remains",
      "ms",
      summarise(shimmed),
      summarise(shell),
      before,
    ),
    explainFigure(
      "dispatch: the same with two more round trips (claim, started)",
      "ms",
      summarise(trips),
      summarise(shimmed),
      before,
    ),
    explainFigure("dispatch: the whole dispatch, interleaved", "ms", summarise(dispatched), summarise(trips), before),
  ];
}

/** From the executor's last instruction until its exit is seen. */
async function exitSteps(scene: Scene, samples: number): Promise<Figure[]> {
  const fifo = scene.fifo();
  const executor = scene.executor("exits", `echo end >${fifo.path}`, "exit 1");
  const shim = shimmedCommand(scene, executor);
  const untilExit = async (command: string[]): Promise<number> => {
    const last = fifo.lines.next(() => true);
    await Bun.spawn(command, { env: { ...scene.env }, stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
    const exitedMs = performance.now();
    return exitedMs - (await last).atMs;
  };
  const coordinator = await scene.coordinator(scene.path("completing"));
  const runner = await scene.runner(coordinator.url, executor);
  const [bare = [], shimmed = [], completed = []] = await interleave(
    { warmUp: 5, samples },
    () => untilExit([executor]),
    () => untilExit(shim()),
    () => completedBy(coordinator, fifo.lines, "Run failed"),
  );
  await scene.shutDown(runner);
  return [
    explainFigure("completion: the executor's last instruction to its exit, seen by waitpid", "ms", summarise(bare)),
    explainFigure(
      "completion: the same under the shim, which writes the exit status",
      "ms",
      summarise(shimmed),
      summarise(bare),
      "the row above",
    ),
    explainFigure(
      "completion: the whole completion, interleaved",
      "ms",
      summarise(completed),
      summarise(shimmed),
      "the row above",
    ),
  ];
}

/** The coordinator's time for the three calls of a run's life. The bench acts as the runner. */
async function callSteps(
  scene: Scene,
  server: { readonly url: string; readonly program: Program },
  samples: number,
): Promise<Figure[]> {
  const runner = await FakeRunner.start(scene);
  const life: { readonly claimMs: number; readonly startedMs: number; readonly failedMs: number }[] = [];
  const [, trips = [], arrivals = []] = await interleave<number>(
    { warmUp: 0, samples: samples + 20 },
    async () => life.push(await runner.life()),
    () => timed(() => postJson(`${server.url}/echo`, START_RUN)),
    async () => {
      const arrived = server.program.lines.next((line) => line === "arrived" || null);
      const sentMs = performance.now();
      await postJson(`${server.url}/echo`, START_RUN);
      return (await arrived).atMs - sentMs;
    },
  );
  // The first 20 are the warm-up.
  const of = (values: readonly number[]) => summarise(values.slice(20));
  const trip = "a POST round trip to a bare server on loopback";
  return [
    explainFigure(
      "dispatch: POST /runs until the open poll has the run",
      "ms",
      of(life.map(({ claimMs }) => claimMs)),
      of(trips),
      trip,
    ),
    explainFigure(
      "dispatch: round trip of the report started",
      "ms",
      of(life.map(({ startedMs }) => startedMs)),
      of(trips),
      trip,
    ),
    explainFigure(
      "completion: sending the report failed until its arrival",
      "ms",
      of(life.map(({ failedMs }) => failedMs)),
      of(arrivals),
      "a POST to a bare server on loopback until its arrival",
    ),
  ];
}

/** Sends the requests of a runner, and does nothing else. */
class FakeRunner {
  private constructor(
    readonly url: string,
    readonly coordinator: Program,
    readonly runnerId: string,
  ) {}

  static async start(scene: Scene): Promise<FakeRunner> {
    const { url, program } = await scene.coordinator(scene.path("played"));
    return new FakeRunner(url, program, await registerRunner(url));
  }

  async life(): Promise<{ claimMs: number; startedMs: number; failedMs: number }> {
    const runner_id = this.runnerId;
    const poll = fetch(`${this.url}/runner/runs?runner_id=${runner_id}`, { keepalive: false }).then(async (answer) => {
      const { run } = (await answer.json()) as { run: { run_id: string } };
      return { runId: run.run_id, atMs: performance.now() };
    });
    // The poll has arrived at the coordinator before this request returns.
    await Bun.sleep(2);
    await fetch(`${this.url}/health`);
    const createdMs = performance.now();
    await createRun(this.url);
    const { runId, atMs } = await poll;
    const startedMs = await timed(() => postJson(`${this.url}/runner/runs/${runId}/started`, { runner_id }));
    const arrived = this.coordinator.lines.next((line) => line.includes("Run failed") || null);
    const sentMs = performance.now();
    await postJson(`${this.url}/runner/runs/${runId}/failed`, { runner_id, error: "exit code 1" });
    return { claimMs: atMs - createdMs, startedMs, failedMs: (await arrived).atMs - sentMs };
  }
}

/** The time of one journal record. A run writes five, each in its own transaction. */
function recordFigure(scene: Scene, samples: number): Figure {
  const db = new Database(scene.path("journal.sqlite"), { create: true });
  for (const pragma of ["journal_mode = WAL", "synchronous = NORMAL"]) db.run(`PRAGMA ${pragma}`);
  db.run("CREATE TABLE runs (run_id TEXT PRIMARY KEY, outcome TEXT) STRICT");
  db.run("INSERT INTO runs VALUES ('run_1', NULL)");
  const update = db.query("UPDATE runs SET outcome = ? WHERE run_id = 'run_1'");
  const times: number[] = [];
  for (let round = 0; round < samples; round++) {
    const startMs = performance.now();
    update.run(`{"kind":"failed","round":${round}}`);
    times.push(performance.now() - startMs);
  }
  db.close();
  return explainFigure("dispatch, completion: one record in a database like the journal", "ms", summarise(times));
}
