import { readProcessTable } from "../../src/process/process-table.ts";
import { promptOf } from "./behaviour.ts";
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

/** What was found in a trial; each thing found is one complaint. */
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

/** How long after the last report what runs left behind may take to end: SIGTERM, five seconds, SIGKILL; on a busy machine. */
const REMAINS_MS = 60_000;

/** What executors and coordinator have seen of each run. */
interface Evidence {
  /** How often its executor has begun. */
  readonly begun: ReadonlyMap<string, number>;
  /** In which ways its end was reported, accepted or not. */
  readonly verbs: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Waits until every run has ended, ends the world, and holds what was ordered against what the coordinator, the executors and the
 * system say: one report each and a true one, one execution each, no process and no listener left.
 */
export async function judge(faults: FaultWorld, deadlineMs: number): Promise<Verdict> {
  const seen = await faults.ended(deadlineMs);
  const evidence = gather(faults);
  const lost: string[] = [];
  for (const run of faults.runs) lost.push(...(await untruth(faults, run, evidence, seen.get(run.runId))));
  const duplicated = faults.runs.flatMap((run) => repetition(run, evidence));
  const leftBehind = await remains(faults);
  return verdictOf(faults.runs.length, { lost, duplicated, leftBehind });
}

function gather(faults: FaultWorld): Evidence {
  const begun = new Map<string, number>();
  for (const line of faults.ledger()) {
    const [what, runId = ""] = line.split(" ");
    if (what === "begin") begun.set(runId, (begun.get(runId) ?? 0) + 1);
  }
  const verbs = new Map<string, Set<string>>();
  for (const { target } of faults.proxy.deliveries) {
    const [, runId = "", verb] = /^\/runner\/runs\/([^/]+)\/(completed|failed|stopped)$/.exec(target) ?? [];
    if (verb !== undefined) verbs.set(runId, (verbs.get(runId) ?? new Set()).add(verb));
  }
  return { begun, verbs };
}

/** At most one complaint. */
async function untruth(
  faults: FaultWorld,
  run: OrderedRun,
  evidence: Evidence,
  seen: SeenRun | undefined,
): Promise<string[]> {
  const { runId, behaviour, isStopAsked } = run;
  const begun = evidence.begun.has(runId);
  const ordered = `${JSON.stringify(behaviour)}, stop asked: ${isStopAsked}, begun: ${begun}`;
  const complain = (why: string): string[] => [`run ${runId} (${ordered}) is ${seen?.status}: ${why}`];
  switch (seen?.status) {
    case "completed": {
      if (behaviour.isStubborn || behaviour.exitCode !== 0 || !begun)
        return complain("its executor did not end with 0");
      const result = await faults.api.result(run.sessionId).catch(String);
      return result === expectedResult(run) ? [] : complain(`its session's result is ${JSON.stringify(result)}`);
    }
    case "failed":
      if (behaviour.isStubborn || behaviour.exitCode === 0 || !begun)
        return complain(`its executor did not fail; ${seen.error}`);
      return seen.error === `Process exited with code ${behaviour.exitCode}`
        ? []
        : complain(`with the error ${JSON.stringify(seen.error)}`);
    case "stopped":
      return isStopAsked ? [] : complain("nobody had asked for it");
    default:
      return complain("no end was reported");
  }
}

function expectedResult({ runId, sessionId, behaviour }: OrderedRun): string {
  return behaviour.talks
    ? `[test-executor] turn 1 of session ${sessionId}: ${promptOf(behaviour)}`
    : `result of ${runId}`;
}

/** At most one complaint: executed twice, or reported in two ways. */
function repetition({ runId }: OrderedRun, { begun, verbs }: Evidence): string[] {
  const times = begun.get(runId) ?? 0;
  if (times > 1) return [`run ${runId} was executed ${times} times`];
  const ways = [...(verbs.get(runId) ?? [])];
  return ways.length > 1 ? [`run ${runId} was reported in two ways: ${ways.join(", ")}`] : [];
}

/** Processes with a run's mark while the runner still lives; then whatever outlives the world. */
async function remains(faults: FaultWorld): Promise<string[]> {
  const found: string[] = [];
  if (!faults.isRunnerUp || (await hasExited(faults))) found.push("the runner has ended by itself");
  const runIds = new Set(faults.runs.map(({ runId }) => runId));
  const end = performance.now() + REMAINS_MS;
  let left = await markedBy(runIds);
  while (left.length > 0 && performance.now() < end) {
    await Bun.sleep(50);
    left = await markedBy(runIds);
  }
  found.push(...left);
  const gatewayPorts = faults.ledger().flatMap((line) => /http:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1] ?? []);
  await faults[Symbol.asyncDispose]().catch((error: unknown) => found.push(String(error)));
  for (const port of new Set([faults.coordinatorPort, ...gatewayPorts.map(Number)])) {
    if (!(await isFree(port))) found.push(`somebody listens on port ${port}`);
  }
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
