import { readProcessTable } from "../../src/process/process-table.ts";
import { promptOf } from "./behaviour.ts";
import type { FaultWorld, RunState, SubmittedRun } from "./fault-world.ts";

/**
 * The verdict on a trial. All counts except `tried` are zero if nothing went wrong; `complaints` describes what did.
 */
export interface Verdict {
  readonly tried: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly leftBehind: number;
  readonly complaints: readonly string[];
}

/** The findings of a trial, each of them one complaint. */
export interface Findings {
  readonly lost?: readonly string[];
  readonly duplicated?: readonly string[];
  readonly leftBehind?: readonly string[];
}

export function verdictOf(tried: number, { lost = [], duplicated = [], leftBehind = [] }: Findings): Verdict {
  const complaints = [...lost, ...duplicated, ...leftBehind];
  return { tried, lost: lost.length, duplicated: duplicated.length, leftBehind: leftBehind.length, complaints };
}

export function sum(verdicts: readonly Verdict[]): Verdict {
  const total = (count: (verdict: Verdict) => number): number =>
    verdicts.reduce((soFar, verdict) => soFar + count(verdict), 0);
  return {
    tried: total((verdict) => verdict.tried),
    lost: total((verdict) => verdict.lost),
    duplicated: total((verdict) => verdict.duplicated),
    leftBehind: total((verdict) => verdict.leftBehind),
    complaints: verdicts.flatMap((verdict) => verdict.complaints),
  };
}

/** How long leftovers may live after the last report: SIGTERM, five seconds, SIGKILL, on a busy machine. */
const LEFTOVERS_MS = 60_000;

/** What the executors and the proxy recorded of each run. */
interface Evidence {
  /** How often its executor started. */
  readonly starts: ReadonlyMap<string, number>;
  /** The verbs of its final reports, accepted or not. */
  readonly verbs: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Waits until every run has ended, disposes the world, and compares the submitted runs with the coordinator, the
 * executors and the system: one correct report and one execution for each run, and no process or listener left.
 */
export async function judge(faults: FaultWorld, deadlineMs: number): Promise<Verdict> {
  const states = await faults.ended(deadlineMs);
  const evidence = gather(faults);
  const lost: string[] = [];
  for (const run of faults.runs) lost.push(...(await wrongReport(faults, run, evidence, states.get(run.runId))));
  const duplicated = faults.runs.flatMap((run) => repetition(run, evidence));
  const leftBehind = await leftoversOf(faults);
  return verdictOf(faults.runs.length, { lost, duplicated, leftBehind });
}

function gather(faults: FaultWorld): Evidence {
  const starts = new Map<string, number>();
  for (const line of faults.ledger()) {
    const [what, runId = ""] = line.split(" ");
    if (what === "begin") starts.set(runId, (starts.get(runId) ?? 0) + 1);
  }
  const verbs = new Map<string, Set<string>>();
  for (const { target } of faults.proxy.deliveries) {
    const [, runId = "", verb] = /^\/runner\/runs\/([^/]+)\/(completed|failed|stopped)$/.exec(target) ?? [];
    if (verb !== undefined) verbs.set(runId, (verbs.get(runId) ?? new Set()).add(verb));
  }
  return { starts, verbs };
}

/** Returns at most one complaint. */
async function wrongReport(
  faults: FaultWorld,
  run: SubmittedRun,
  evidence: Evidence,
  state: RunState | undefined,
): Promise<string[]> {
  const { runId, behaviour, isStopRequested } = run;
  const hasStarted = evidence.starts.has(runId);
  const facts = `${JSON.stringify(behaviour)}, stop requested: ${isStopRequested}, started: ${hasStarted}`;
  const complain = (why: string): string[] => [`run ${runId} (${facts}) is ${state?.status}: ${why}`];
  switch (state?.status) {
    case "completed": {
      if (behaviour.isStubborn || behaviour.exitCode !== 0 || !hasStarted)
        return complain("its executor did not exit with 0");
      const result = await faults.api.result(run.sessionId).catch(String);
      return result === expectedResult(run) ? [] : complain(`its session's result is ${JSON.stringify(result)}`);
    }
    case "failed":
      if (behaviour.isStubborn || behaviour.exitCode === 0 || !hasStarted)
        return complain(`its executor did not fail; ${state.error}`);
      return state.error === `Process exited with code ${behaviour.exitCode}`
        ? []
        : complain(`with the error ${JSON.stringify(state.error)}`);
    case "stopped":
      return isStopRequested ? [] : complain("nobody requested a stop");
    default:
      return complain("no end was reported");
  }
}

function expectedResult({ runId, sessionId, behaviour }: SubmittedRun): string {
  return behaviour.talks
    ? `[test-executor] turn 1 of session ${sessionId}: ${promptOf(behaviour)}`
    : `result of ${runId}`;
}

/** Returns at most one complaint: executed twice, or reported in two ways. */
function repetition({ runId }: SubmittedRun, { starts, verbs }: Evidence): string[] {
  const times = starts.get(runId) ?? 0;
  if (times > 1) return [`run ${runId} was executed ${times} times`];
  const ways = [...(verbs.get(runId) ?? [])];
  return ways.length > 1 ? [`run ${runId} was reported in two ways: ${ways.join(", ")}`] : [];
}

/** Finds leftovers of runs while the runner still lives, and then everything that outlives the world. */
async function leftoversOf(faults: FaultWorld): Promise<string[]> {
  const found: string[] = [];
  if (!faults.isRunnerUp || (await hasExited(faults))) found.push("the runner ended by itself");
  const runIds = new Set(faults.runs.map(({ runId }) => runId));
  const end = performance.now() + LEFTOVERS_MS;
  let left = await markedBy(runIds);
  while (left.length > 0 && performance.now() < end) {
    await Bun.sleep(50);
    left = await markedBy(runIds);
  }
  found.push(...left);
  // Finds each process of the world. Its ports need no check: another world may have them already.
  await faults[Symbol.asyncDispose]().catch((error: unknown) => found.push(String(error)));
  return found;
}

async function markedBy(runIds: ReadonlySet<string>): Promise<string[]> {
  const table = await readProcessTable();
  return table.flatMap(({ pid, runId }) =>
    runId !== null && runIds.has(runId) ? [`process ${pid} of run ${runId} lives`] : [],
  );
}

function hasExited(faults: FaultWorld): Promise<boolean> {
  return Promise.race([faults.runner.exited.then(() => true), Bun.sleep(0).then(() => false)]);
}
