import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { processesWith } from "../harness/processes.ts";
import { smallDisk } from "../harness/small-disk.ts";
import { until } from "../harness/until.ts";
import { LeftoversFound, World } from "../harness/world.ts";
import { sum, type Verdict, verdictOf } from "./verdict.ts";

/** A kind of hostile executor, and the test that a runner endures it. */
interface Hostility {
  readonly name: string;
  /** Rejects on any fault: with `LeftoversFound` if processes are left, with `ExecutedTwice` if a run was repeated. */
  readonly endure: () => Promise<void>;
  /** Why this machine cannot play the test. */
  readonly obstacle?: string;
}

class ExecutedTwice extends Error {}

const FLOOD_BYTES = 1_000_000_000;
const FLOOD_MS = 180_000;
const LEFTOVERS_MS = 60_000;
const MIB = 1024 ** 2;

interface Place {
  readonly world: World;
  readonly api: CoordinatorApi;
  readonly runner: StartedBinary;
}

/** Plays with a runner for this executor, and then checks that no run left a process or was repeated. */
async function inPlace(
  executor: string,
  play: (place: Place) => Promise<void>,
  options: { env?: Record<string, string>; stateDir?: string } = {},
): Promise<void> {
  await using world = new World();
  const { api } = await world.coordinator();
  const stateDir = options.stateDir ?? world.stateDir;
  const runner = world.runner(api.url, executor, ["--state-dir", stateDir], { STATE: stateDir, ...options.env });
  await play({ world, api, runner });
  for (const { run_id, session_id } of await api.runs()) {
    await noLeftoversOf(run_id);
    const starts = runner.stdout().split(`Starting session ${session_id}`).length - 1;
    if (starts !== 1) throw new ExecutedTwice(`run ${run_id} was started ${starts} times`);
  }
}

async function noLeftoversOf(runId: string): Promise<void> {
  const gone = (): boolean => processesWith("AGENT_RUN_ID", runId).length === 0;
  await until(`the processes of run ${runId} to end`, gone, LEFTOVERS_MS).catch((error: unknown) =>
    Promise.reject(new LeftoversFound(String(error))),
  );
}

function check(what: string, isSo: boolean): void {
  if (!isSo) throw new Error(`not true: ${what}`);
}

/** Starts a run with "stay" and stops it. No process of the run may live when the stop is reported. */
async function stopped(executor: string, atLeast: number): Promise<void> {
  await inPlace(executor, async ({ world, api }) => {
    const { run_id } = await api.submit("stay");
    await world.file(`${run_id}.ready`);
    await until(`${atLeast} processes`, () => processesWith("AGENT_RUN_ID", run_id).length >= atLeast);
    await api.stop(run_id);
    await api.reached(run_id, "stopped");
    const left = processesWith("AGENT_RUN_ID", run_id);
    if (left.length > 0)
      throw new LeftoversFound(`the stop of run ${run_id} was reported while ${left.length} of its processes lived`);
  });
}

/** Plays an executor that ends by itself with leftovers, which the runner must end after the report. */
async function ended(executor: string, leaves: number): Promise<void> {
  await inPlace(executor, async ({ api, runner }) => {
    const { run_id } = await api.submit("go");
    await api.reached(run_id, "completed");
    const [, count] = await runner.line(new RegExp(`Ended (\\d+) leftover\\(s\\) of run ${run_id}`));
    check(`at least ${leaves} leftovers were ended; the log says ${count}`, Number(count) >= leaves);
  });
}

async function completes(executor: string, prompt: string, result: string | null): Promise<void> {
  await inPlace(executor, async ({ api }) => {
    const { run_id, session_id } = await api.submit(prompt);
    await api.reached(run_id, "completed");
    if (result === null) return;
    const actual = await api.result(session_id);
    check(`the result is ${JSON.stringify(result)}; it is ${JSON.stringify(actual)}`, actual === result);
  });
}

async function floods(): Promise<void> {
  await inPlace(
    "floods-stdout",
    async ({ world, api, runner }) => {
      const { run_id, session_id } = await api.submit("flood");
      await api.reached(run_id, "completed", FLOOD_MS);
      check("the end of the output is the result", (await api.result(session_id)).endsWith("the end of the flood"));
      const onDisk = statSync(join(world.stateDir, "runs", run_id, "stdout")).blocks * 512;
      check(`the output stays within its limit; ${onDisk} bytes are on disk`, onDisk < 160 * MIB);
      if (process.platform !== "linux") return;
      const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${runner.pid}/status`, "latin1"))?.[1]) * 1024;
      check(`memory stays within 256 MiB; the peak was ${peak} bytes`, peak < 256 * MIB);
    },
    { env: { FLOOD_BYTES: String(FLOOD_BYTES) } },
  );
}

async function writesHalfALine(): Promise<void> {
  await completes("writes-half-a-line", "go", "half a line \ufffd\ufffd\ufffd");
  await inPlace("writes-half-a-line", async ({ api }) => {
    const { run_id } = await api.submit("fail");
    await api.reached(run_id, "failed");
    const { error } = await api.run(run_id);
    check(
      `the error is the output on stderr; it is ${JSON.stringify(error)}`,
      error === "half an error \ufffd\ufffd\ufffd",
    );
  });
}

/**
 * The run that fills the disk must be reported although the disk is full. A later run must be executed once there
 * is room.
 */
async function fillsTheDisk(): Promise<void> {
  using disk = smallDisk.mount(48);
  const play = async ({ world, api }: Place): Promise<void> => {
    const { run_id } = await api.submit("fill");
    // Without content: there is no room for any.
    await until("the disk is full", () => existsSync(world.path(`${run_id}.full`)));
    await Bun.write(world.path(`${run_id}.release`), "");
    await api.reached(run_id, "completed");
    rmSync(join(disk.path, "filler"));
    const later = await api.submit("nothing");
    await api.reached(later.run_id, "completed", 60_000);
  };
  await inPlace("fills-disk", play, { stateDir: disk.path });
}

const HOSTILITIES: readonly Hostility[] = [
  { name: "ignores SIGTERM", endure: () => stopped("ignores-sigterm", 2) },
  { name: "forks 200 processes and ends", endure: () => ended("forks-200", 200) },
  { name: "forks 200 processes and is stopped", endure: () => stopped("forks-200", 200) },
  { name: "daemonises (double fork, setsid) and ends", endure: () => ended("daemonises", 1) },
  { name: "daemonises (double fork, setsid) and is stopped", endure: () => stopped("daemonises", 3) },
  { name: "closes its stdio", endure: () => completes("closes-stdio", "go", null) },
  { name: "floods 1 GB", endure: floods },
  { name: "never reads 1 MB on its stdin", endure: () => completes("never-reads-stdin", "x".repeat(MIB), null) },
  { name: "writes half a line of invalid UTF-8", endure: writesHalfALine },
  {
    name: "moves its working folder away and deletes its run folder",
    endure: () => completes("deletes-its-folder", "go", "still here"),
  },
  {
    name: "fills the disk",
    endure: fillsTheDisk,
    ...(smallDisk.isPossible ? {} : { obstacle: "only root on Linux can mount a small disk" }),
  },
];

/** Plays one hostile executor after the other. `untried` names those that this machine cannot play, and why. */
export async function hostileExecutors(options: {
  readonly onEach?: (name: string) => void;
}): Promise<Verdict & { readonly untried: readonly string[] }> {
  const verdicts: Verdict[] = [];
  const untried: string[] = [];
  for (const { name, endure, obstacle } of HOSTILITIES) {
    options.onEach?.(name);
    if (obstacle === undefined)
      verdicts.push(
        await endure().then(
          () => verdictOf(1, {}),
          (error: unknown) => asVerdict(name, error),
        ),
      );
    else untried.push(`an executor that ${name}: ${obstacle}`);
  }
  return { ...sum(verdicts), untried };
}

function asVerdict(name: string, error: unknown): Verdict {
  const faults = faultsIn(error);
  const complaint = [`an executor that ${name}: ${faults.map(String).join("; and ")}`];
  if (faults.some((fault) => fault instanceof LeftoversFound)) return verdictOf(1, { leftBehind: complaint });
  return verdictOf(
    1,
    faults.some((fault) => fault instanceof ExecutedTwice) ? { duplicated: complaint } : { lost: complaint },
  );
}

/** Splits an error of the test and an error of the world's disposal. */
function faultsIn(error: unknown): unknown[] {
  return error instanceof SuppressedError ? [...faultsIn(error.suppressed), ...faultsIn(error.error)] : [error];
}
