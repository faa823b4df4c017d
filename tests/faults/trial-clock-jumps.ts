import { writeFileSync } from "node:fs";
import { findFaketime } from "../../scripts/faketime.ts";
import { until } from "../harness/until.ts";
import { type Found, inMachines } from "./in-machines.ts";
import type { ListedRun, Machines } from "./machines.ts";
import { executedTwice, isOpen } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

const STEP_MS = 60_000;
const RETRY_MS = 2_000;
/** A retry may come this much late on a busy machine. */
const LATE_MS = 20_000;
const HISTORY = 10;
const RETENTION = { AGENT_COORDINATOR_RETENTION: "30d" };

/** How the clock is moved, in the words of libfaketime. */
export const JUMPS = ["-1d", "+10m", "+1d", "+100d"] as const;
export type Jump = (typeof JUMPS)[number];

/** Whose clock jumps. */
export type Clocks = "coordinator" | "both";

/** A clock that is set while the processes that see it live. */
class Clock {
  readonly #file: string;
  readonly env: Readonly<Record<string, string>>;

  constructor(file: string) {
    this.#file = file;
    this.env = {
      LD_PRELOAD: findFaketime() ?? "",
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      // As on a real machine: the time since the start does not jump.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    this.set("+0");
  }

  set(jump: Jump | "+0"): void {
    writeFileSync(this.#file, `${jump}\n`);
  }
}

/** The clock jumps while a run works, a retry waits, a claim has its lease and runners are registered. */
export function clockJump(jump: Jump, clocks: Clocks): Promise<Verdict> {
  return withClock(clocks, async (machines, clock, found) => {
    const claimed = await claimByHand(machines);
    const work = await machines.api.submit("sleep=3 exit=0");
    const retry = await waitingRetry(machines);
    await until("the run to work", () => machines.ledger().begun.has(work.run_id), STEP_MS);
    clock.set(jump);
    await expectInTime(machines, retry, found);
    await machines.api.reached(work.run_id, "completed", STEP_MS);
    await expectKept(machines, found);
    const status = await machines.status(claimed.runId);
    if (status !== "claimed") found.lost.push(`the claimed run ${claimed.runId} is ${status} after the jump`);
    await reportByHand(machines, claimed);
    clock.set("+0");
    const next = await machines.api.submit("sleep=0.01 exit=0");
    await machines.api.reached(next.run_id, "completed", STEP_MS);
    await expectKept(machines, found);
  });
}

/** The coordinator starts with a clock 100 days ahead, and again with the right one while a retry waits. */
export function clockAtStart(clocks: Clocks): Promise<Verdict> {
  return withClock(clocks, async (machines, clock, found) => {
    for (const at of ["+100d", "+0"] as const) {
      const before = await waitingRetry(machines);
      await machines.killCoordinator();
      clock.set(at);
      await machines.startCoordinator();
      await expectInTime(machines, before, found);
      await expectKept(machines, found);
    }
  });
}

/** Plays with a coordinator whose clock can be set, a machine and a history of some runs. */
function withClock(
  clocks: Clocks,
  play: (machines: Machines, clock: Clock, found: Found) => Promise<void>,
): Promise<Verdict> {
  let clock: Clock | undefined;
  const start = { env: RETENTION, envOf: (folder: string) => (clock = new Clock(`${folder}/clock`)).env };
  return inMachines(start, async (machines, found) => {
    if (clock === undefined) throw new Error("there is no clock");
    machines.machine("0", clocks === "both" ? clock.env : {});
    for (let i = 0; i < HISTORY; i++) await machines.api.submit("sleep=0.01 exit=0");
    await until("a history", async () => (await machines.runs()).every((run) => !isOpen(run)), STEP_MS);
    await play(machines, clock, found);
    found.tried = (await machines.runs()).length;
    found.duplicated.push(...executedTwice(machines.ledger()));
  });
}

interface WaitingRetry {
  readonly runId: string;
  readonly sinceMs: number;
}

/** A run that failed for a transient reason and waits for its second attempt. */
async function waitingRetry(machines: Machines): Promise<WaitingRetry> {
  const more = { max_attempts: 2, retry_delay_seconds: RETRY_MS / 1_000 };
  const { run_id } = await machines.api.submit("sleep=0.05 exit=75", more);
  await machines.api.reached(run_id, "failed", STEP_MS);
  return { runId: (await machines.api.run(run_id)).retried_by ?? "", sinceMs: performance.now() };
}

async function expectInTime(machines: Machines, { runId, sinceMs }: WaitingRetry, found: Found): Promise<void> {
  const hasBegun = (): boolean => machines.ledger().begun.has(runId);
  await until("the retry", hasBegun, RETRY_MS + LATE_MS).catch(() => {});
  const afterMs = Math.round(performance.now() - sinceMs);
  if (!hasBegun()) {
    const { status } = await machines.api.run(runId);
    found.lost.push(`the retry ${runId} did not come: it is ${status} ${afterMs} ms after the failure`);
  }
}

async function expectKept(machines: Machines, found: Found): Promise<void> {
  const runs: readonly ListedRun[] = await machines.runs();
  const missing = [...machines.ledger().ended.keys()].filter((runId) => !runs.some(({ run_id }) => run_id === runId));
  if (missing.length > 0) found.lost.push(`${missing.length} runs of the history are gone`);
  const isOnline = async (): Promise<boolean> => (await runnersOf(machines)).includes("online");
  await until("the runner to be online", isOnline, STEP_MS).catch((error: unknown) => found.lost.push(String(error)));
}

async function runnersOf({ api, world }: Machines): Promise<string[]> {
  const answer = await fetch(`${api.url}/runners`, { keepalive: false });
  const { runners } = (await answer.json()) as { runners: { project_dir: string; status: string }[] };
  return runners.filter(({ project_dir }) => project_dir.startsWith(world.projectDir)).map(({ status }) => status);
}

interface ClaimByHand {
  readonly runnerId: string;
  readonly runId: string;
}

/** A claim without `started`: only its lease keeps it. */
async function claimByHand(machines: Machines): Promise<ClaimByHand> {
  const identity = { hostname: "by-hand", project_dir: "/by-hand", executor_type: "none", tags: ["by-hand"] };
  const { runner_id } = (await post(machines, "/runner/register", identity)) as { runner_id: string };
  const more = { additional_demands: { tags: ["by-hand"] }, priority: 10 };
  const { run_id } = await machines.api.submit("exit=0", more);
  const poll = await fetch(`${machines.api.url}/runner/runs?runner_id=${runner_id}`, { keepalive: false });
  const { run } = (await poll.json()) as { run: { run_id: string } };
  if (run.run_id !== run_id) throw new Error(`claimed ${run.run_id} instead of ${run_id}`);
  return { runnerId: runner_id, runId: run_id };
}

async function reportByHand(machines: Machines, { runnerId, runId }: ClaimByHand): Promise<void> {
  for (const verb of ["started", "completed"])
    await post(machines, `/runner/runs/${runId}/${verb}`, { runner_id: runnerId });
}

async function post({ api }: Machines, path: string, body: object): Promise<unknown> {
  const response = await fetch(api.url + path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    keepalive: false,
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}
