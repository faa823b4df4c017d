import { processesWith } from "../harness/processes.ts";
import type { FaultWorld, OrderedRun, SeenRun } from "./fault-world.ts";
import { isFree } from "./free-port.ts";

/** How a trial went. All but `tried` are zero where nothing was lost, done twice or left behind; `complaints` says what was. */
export interface Verdict {
  readonly tried: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly leftBehind: number;
  readonly complaints: readonly string[];
}

export const NOTHING_TRIED: Verdict = { tried: 0, lost: 0, duplicated: 0, leftBehind: 0, complaints: [] };

export function sum(verdicts: readonly Verdict[]): Verdict {
  const total = (count: (verdict: Verdict) => number): number => verdicts.reduce((so_far, verdict) => so_far + count(verdict), 0);
  return {
    tried: total((verdict) => verdict.tried),
    lost: total((verdict) => verdict.lost),
    duplicated: total((verdict) => verdict.duplicated),
    leftBehind: total((verdict) => verdict.leftBehind),
    complaints: verdicts.flatMap((verdict) => verdict.complaints),
  };
}

/** How long after the last report what runs left behind may take to end: SIGTERM, five seconds, SIGKILL. */
const REMAINS_MS = 12_000;

/**
 * Waits until every run has ended, ends the world, and holds what was ordered against what the coordinator, the executors and the
 * system say: one report each and a true one, one execution each, no process and no listener left.
 */
export async function judge(faults: FaultWorld, deadlineMs: number): Promise<Verdict> {
  const seen = await faults.ended(deadlineMs);
  const lost = (await Promise.all(faults.runs.map((run) => untruth(faults, run, seen.get(run.runId))))).flat();
  const duplicated = faults.runs.flatMap((run) => repetition(faults, run));
  const leftBehind = await remains(faults);
  return { tried: faults.runs.length, lost: lost.length, duplicated: duplicated.length, leftBehind: leftBehind.length, complaints: [...lost, ...duplicated, ...leftBehind] };
}

/** At most one complaint. */
async function untruth(faults: FaultWorld, run: OrderedRun, seen: SeenRun | undefined): Promise<string[]> {
  const { runId, behaviour, isStopAsked } = run;
  const begun = countOf(faults, "begin", runId) > 0;
  const ordered = `${JSON.stringify(behaviour)}, stop asked: ${isStopAsked}, begun: ${begun}`;
  const complain = (why: string): string[] => [`run ${runId} (${ordered}) is ${seen?.status}: ${why}`];
  switch (seen?.status) {
    case "completed": {
      if (behaviour.isStubborn || behaviour.exitCode !== 0 || !begun) return complain("its executor did not end with 0");
      const result = await faults.api.result(run.sessionId).catch(String);
      return result === expectedResult(run) ? [] : complain(`its session's result is ${JSON.stringify(result)}`);
    }
    case "failed":
      if (behaviour.isStubborn || behaviour.exitCode === 0 || !begun) return complain(`its executor did not fail; ${seen.error}`);
      return seen.error === `Process exited with code ${behaviour.exitCode}` ? [] : complain(`with the error ${JSON.stringify(seen.error)}`);
    case "stopped":
      return isStopAsked ? [] : complain("nobody had asked for it");
    default:
      return complain("no end was reported");
  }
}

function expectedResult({ runId, sessionId, behaviour }: OrderedRun): string {
  const { talks, sleepMs, exitCode, leaves } = behaviour;
  if (!talks) return `result of ${runId}`;
  const prompt = `sleep=${(sleepMs / 1000).toFixed(3)} exit=${exitCode}${leaves ? " leaves" : ""} talks`;
  return `[test-executor] turn 1 of session ${sessionId}: ${prompt}`;
}

/** At most one complaint: executed twice, or reported in two ways. */
function repetition(faults: FaultWorld, { runId }: OrderedRun): string[] {
  const begun = countOf(faults, "begin", runId);
  if (begun > 1) return [`run ${runId} was executed ${begun} times`];
  const pattern = new RegExp(`^/runner/runs/${runId}/(completed|failed|stopped)$`);
  const verbs = new Set(faults.proxy.deliveries.flatMap(({ target }) => pattern.exec(target)?.[1] ?? []));
  return verbs.size > 1 ? [`run ${runId} was reported in two ways: ${[...verbs].join(", ")}`] : [];
}

function countOf(faults: FaultWorld, what: "begin" | "end", runId: string): number {
  return faults.ledger().filter((line) => line.split(" ", 2).join(" ") === `${what} ${runId}`).length;
}

/** Processes with a run's mark while the runner still lives; then whatever outlives the world. */
async function remains(faults: FaultWorld): Promise<string[]> {
  const found: string[] = [];
  if (!faults.isRunnerUp || (await hasExited(faults))) found.push(`the runner has ended by itself`);
  const end = performance.now() + REMAINS_MS;
  let left = markedBy(faults);
  while (left.length > 0 && performance.now() < end) {
    await Bun.sleep(50);
    left = markedBy(faults);
  }
  found.push(...left);
  const ports = new Set([faults.coordinatorPort, ...faults.ledger().flatMap((line) => /http:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1] ?? []).map(Number)]);
  await faults[Symbol.asyncDispose]().catch((error: unknown) => found.push(String(error)));
  for (const port of ports) if (!(await isFree(port))) found.push(`somebody listens on port ${port}`);
  return found;
}

function markedBy({ runs }: FaultWorld): string[] {
  return runs.flatMap(({ runId }) => processesWith("AGENT_RUN_ID", runId).map((pid) => `process ${pid} of run ${runId} lives`));
}

function hasExited(faults: FaultWorld): Promise<boolean> {
  return Promise.race([faults.runner.exited.then(() => true), Bun.sleep(0).then(() => false)]);
}
