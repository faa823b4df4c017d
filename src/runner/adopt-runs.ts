import { join } from "node:path";
import { adoptExecutor, bootId, lives, type ProcessIdentity } from "../process/adopt.ts";
import { readProcessTable } from "../process/process-table.ts";
import { readStatus } from "../process/shim.ts";
import { statusFileOf } from "../process/spawn.ts";
import { parseAssignedRun } from "../protocol/poll.ts";
import { isTerminal } from "../protocol/run.ts";
import { concludeRun, notStarted } from "./conclude-run.ts";
import { deliver } from "./deliver.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { watchRun } from "./execute-run.ts";
import type { JournalRun } from "./journal.ts";
import type { Outcome } from "./outcome.ts";
import type { RunRegistry, TakenRun } from "./run-registry.ts";
import type { RunnerParts } from "./runner-parts.ts";
import { endRemains } from "./supervise.ts";

/** What no process answers to; for an executor of which nothing but its files may be left. */
const NOBODY: ProcessIdentity = { pid: 0, startedAt: "", bootId: "" };

/**
 * Takes up what an earlier start of the runner left: executors that live are watched to their end as if nothing had happened, what
 * ended meanwhile is reported from its status file, outcomes that were not acknowledged are delivered. Nothing is executed twice.
 */
export async function adoptRuns(registry: RunRegistry, dispatcher: Dispatcher, parts: RunnerParts): Promise<void> {
  const { journal } = parts;
  const log = parts.log.scope("supervisor");
  journal.prune();
  registry.remember(journal.doneIds());
  const unfinished = journal.unfinished(log);
  if (unfinished.length === 0) return;
  const marked = await markedLeaders();
  for (const record of unfinished) {
    if (record.phase === "reported") {
      registry.remember([record.assigned.runId]);
      dispatcher.track(lookAgain(record, parts));
      continue;
    }
    const identity = record.identity ?? marked.get(record.assigned.runId) ?? null;
    const isBegun = record.phase !== "starting" || identity !== null || readStatus(statusFileOf(folderOf(record, parts))) !== null;
    const taken = isBegun ? registry.add(record.assigned) : null;
    if (taken === null) dispatcher.track(beginAnew(record, dispatcher, parts));
    else dispatcher.track(adoptRun(taken, record, identity ?? NOBODY, parts));
  }
}

async function adoptRun(taken: TakenRun, record: JournalRun, identity: ProcessIdentity, parts: RunnerParts): Promise<void> {
  const { run } = taken;
  const log = parts.log.scope("supervisor");
  const grant = parts.gateway.restore(run.runId, run.sessionId, record, (activity) => parts.journal.active(run.runId, activity));
  try {
    if (record.cancel !== null) run.cancel(record.cancel);
    run.moveTo("starting");
    if (record.outcome !== null && !mayLeaveSomething(record.outcome)) return await concludeRun(taken, grant, notStarted(record.outcome), parts);
    const isAlive = lives(identity);
    log.info(isAlive ? `Took up run ${run.runId}, whose executor lives (pid ${identity.pid})` : `Took up run ${run.runId}, which ended meanwhile`, run.context);
    const child = adoptExecutor(identity, folderOf(record, parts), parts.config.outputLimitBytes);
    const attempt = await watchRun(run, child, parts);
    const outcome = record.outcome ?? attempt.outcome;
    if (outcome.kind === "vanished" && (await isEndKnown(run.runId, parts))) return parts.journal.done(run.runId);
    await concludeRun(taken, grant, { ...attempt, outcome }, parts);
  } finally {
    taken.end({ remember: true });
  }
}

/** Runs that were stopped have been looked after before their outcome was recorded; of the others nothing was started. */
function mayLeaveSomething({ kind }: Outcome): boolean {
  return kind === "succeeded" || kind === "failed" || kind === "vanished";
}

/** The run is through, but the runner died before it had ended what the run left behind. */
async function lookAgain({ assigned: { runId, sessionId }, identity }: JournalRun, parts: RunnerParts): Promise<void> {
  await endRemains({ runId, context: { run: runId, session: sessionId } }, identity ?? NOBODY, parts);
  parts.journal.done(runId);
}

/** Before an end is made up the coordinator is asked: the record may be older than what was reported (a power cut). */
async function isEndKnown(runId: string, parts: RunnerParts): Promise<boolean> {
  const found = await deliver("Reading the run", () => parts.coordinator.run(runId), parts.delivery);
  return found.kind === "refused" || (found.kind === "answered" && isTerminal(found.value.status));
}

/** A run that was claimed, and perhaps reported as started, but certainly not spawned: it is begun now, if it is still ours. */
async function beginAnew(record: JournalRun, dispatcher: Dispatcher, parts: RunnerParts): Promise<void> {
  const { runId } = record.assigned;
  const found = await deliver("Reading the run", () => parts.coordinator.run(runId), parts.delivery);
  const isOurs = found.kind === "answered" && found.value.runner_id === (await parts.registration.id());
  // The record goes only when nothing is to be done any more: this runner may be killed too, and the coordinator tells a run that is
  // "running" to nobody again.
  if (!isOurs || isTerminal(found.value.status)) parts.journal.forget(runId);
  else if (found.value.status === "stopping") dispatcher.take({ kind: "stops", runIds: [runId], sessionIds: [] });
  else dispatcher.take(parseAssignedRun(found.value));
}

/** Leaders of executors that live, by their run's mark: for those that were spawned in the moment in which the runner died. */
async function markedLeaders(): Promise<Map<string, ProcessIdentity>> {
  const leaders = new Map<string, ProcessIdentity>();
  for (const { pid, group, runId, startedAt } of await readProcessTable()) {
    if (runId !== null && pid === group) leaders.set(runId, { pid, startedAt, bootId: bootId() });
  }
  return leaders;
}

function folderOf(record: JournalRun, parts: RunnerParts): string {
  return join(parts.runsFolder, record.assigned.runId);
}
