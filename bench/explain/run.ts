import { Database } from "bun:sqlite";
import { createRun, postJson, registerRunner, START_RUN } from "../calls.ts";
import { completedBy } from "../completion.ts";
import { dispatchedBy, type SpawnLimits, untilFirstInstruction } from "../dispatch.ts";
import type { Effort, Figure } from "../figure.ts";
import type { Program } from "../program.ts";
import { Scene } from "../scene.ts";
import { shimmedCommand } from "../shimmed.ts";
import { summarise, takeTurns, timed } from "../statistics.ts";
import { part } from "./part.ts";

/** What a dispatch and a completion are made of: what they cannot do without, step by step, and what the coordinator takes of each. */
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

/** From a run's creation to its executor's first instruction, a step more in each line. */
async function spawnSteps(scene: Scene, serverUrl: string, samples: number): Promise<Figure[]> {
  const bell = scene.bell();
  const executor = scene.executor("rings", `echo begun >${bell.path}`);
  const limits: SpawnLimits = { scene, bell, serverUrl };
  const shim = shimmedCommand(scene, executor);
  const [bare = [], shell = [], shimmed = [], trips = [], dispatched = []] = await takeTurns(
    { warmUp: 5, samples },
    () => untilFirstInstruction(limits, [executor]),
    () => untilFirstInstruction(limits, ["/bin/sh", "-c", 'exec "$0"', executor]),
    () => untilFirstInstruction(limits, shim()),
    () => untilFirstInstruction(limits, shim(), 3),
    await dispatchedBy(scene, bell, executor),
  );
  const before = "the line before";
  return [
    part("dispatch: one round trip and a spawn", "ms", summarise(bare)),
    part(
      "dispatch: the spawn through a shell that execs the executor",
      "ms",
      summarise(shell),
      summarise(bare),
      before,
    ),
    part(
      "dispatch: the spawn under the shim, which forks and stays",
      "ms",
      summarise(shimmed),
      summarise(shell),
      before,
    ),
    part(
      "dispatch: the same and two more round trips (claim, started)",
      "ms",
      summarise(trips),
      summarise(shimmed),
      before,
    ),
    part("dispatch: the dispatch itself, in the same turns", "ms", summarise(dispatched), summarise(trips), before),
  ];
}

/** From the executor's last instruction until its end is seen. */
async function exitSteps(scene: Scene, samples: number): Promise<Figure[]> {
  const bell = scene.bell();
  const executor = scene.executor("exits", `echo end >${bell.path}`, "exit 1");
  const shim = shimmedCommand(scene, executor);
  const untilExit = async (command: string[]): Promise<number> => {
    const last = bell.lines.next(() => true);
    await Bun.spawn(command, { env: { ...scene.env }, stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
    const seenMs = performance.now();
    return seenMs - (await last).atMs;
  };
  const coordinator = await scene.coordinator(scene.path("completing"));
  const runner = await scene.runner(coordinator.url, executor);
  const [bare = [], shimmed = [], completed = []] = await takeTurns(
    { warmUp: 5, samples },
    () => untilExit([executor]),
    () => untilExit(shim()),
    () => completedBy(coordinator, bell.lines, "Run failed"),
  );
  await scene.leave(runner);
  return [
    part("completion: the executor's last instruction to its exit, seen by waitpid", "ms", summarise(bare)),
    part(
      "completion: the same under the shim, which writes the status and ends",
      "ms",
      summarise(shimmed),
      summarise(bare),
      "the line before",
    ),
    part(
      "completion: the completion itself, in the same turns",
      "ms",
      summarise(completed),
      summarise(shimmed),
      "the line before",
    ),
  ];
}

/** What the coordinator takes for the three calls of a run's life, the bench in the place of the runner. */
async function callSteps(
  scene: Scene,
  server: { readonly url: string; readonly program: Program },
  samples: number,
): Promise<Figure[]> {
  const runner = await PlayedRunner.start(scene);
  const life: { readonly claimMs: number; readonly startedMs: number; readonly failedMs: number }[] = [];
  const [, trips = [], arrivals = []] = await takeTurns<number>(
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
  // The first are the warm-up.
  const of = (values: readonly number[]) => summarise(values.slice(20));
  const trip = "a POST to a bare server on loopback and its answer";
  return [
    part(
      "dispatch: POST /runs until the poll that waits has the run",
      "ms",
      of(life.map(({ claimMs }) => claimMs)),
      of(trips),
      trip,
    ),
    part(
      "dispatch: the report started and its answer",
      "ms",
      of(life.map(({ startedMs }) => startedMs)),
      of(trips),
      trip,
    ),
    part(
      "completion: the report failed until the coordinator has it",
      "ms",
      of(life.map(({ failedMs }) => failedMs)),
      of(arrivals),
      "a POST to a bare server on loopback until it has it",
    ),
  ];
}

/** Does what a runner does, and nothing beside. */
class PlayedRunner {
  private constructor(
    readonly url: string,
    readonly coordinator: Program,
    readonly runnerId: string,
  ) {}

  static async start(scene: Scene): Promise<PlayedRunner> {
    const { url, program } = await scene.coordinator(scene.path("played"));
    return new PlayedRunner(url, program, await registerRunner(url));
  }

  async life(): Promise<{ claimMs: number; startedMs: number; failedMs: number }> {
    const runner_id = this.runnerId;
    const poll = fetch(`${this.url}/runner/runs?runner_id=${runner_id}`, { keepalive: false }).then(async (answer) => {
      const { run } = (await answer.json()) as { run: { run_id: string } };
      return { runId: run.run_id, atMs: performance.now() };
    });
    // It has arrived there before this is answered.
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

/** One of the five records of a run in the runner's journal, each a transaction of its own. */
function recordFigure(scene: Scene, samples: number): Figure {
  const db = new Database(scene.path("journal.sqlite"), { create: true });
  for (const pragma of ["journal_mode = WAL", "synchronous = NORMAL"]) db.run(`PRAGMA ${pragma}`);
  db.run("CREATE TABLE runs (run_id TEXT PRIMARY KEY, outcome TEXT) STRICT");
  db.run("INSERT INTO runs VALUES ('run_1', NULL)");
  const update = db.query("UPDATE runs SET outcome = ? WHERE run_id = 'run_1'");
  const taken: number[] = [];
  for (let round = 0; round < samples; round++) {
    const begunMs = performance.now();
    update.run(`{"kind":"failed","round":${round}}`);
    taken.push(performance.now() - begunMs);
  }
  db.close();
  return part("dispatch, completion: one record in a database as the journal is", "ms", summarise(taken));
}
