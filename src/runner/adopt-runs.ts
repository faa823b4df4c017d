import { join } from "node:path";
import { describeMs } from "../async/describe-ms.ts";
import { NEVER } from "../async/never.ts";
import type { Grant } from "../gateway/grant.ts";
import { adoptExecutor, bootId, lives, markedLeaders, type ProcessIdentity } from "../process/adopt.ts";
import { readProcessTable } from "../process/process-table.ts";
import { isShortage } from "../process/shortage.ts";
import { preventStart } from "../process/start-mark.ts";
import { parseAssignedRun } from "../protocol/poll.ts";
import type { ActiveRun } from "./runs/active-run.ts";
import { type Attempt, concludeRun, notStarted } from "./execution/conclude-run.ts";
import { deliver } from "./link/deliver.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { executeRun, watchRun } from "./execution/execute-run.ts";
import type { JournalRun } from "./journal/journal.ts";
import type { Outcome } from "./runs/outcome.ts";
import { activityRecorder } from "./execution/run-record.ts";
import type { RunRegistry, TakenRun } from "./runs/run-registry.ts";
import type { RunnerParts } from "./execution/runner-parts.ts";
import { endLeftovers } from "./execution/supervise.ts";

/** Matches no process: for an executor that may have left only its files. */
const NO_PROCESS: ProcessIdentity = { pid: 0, startedAt: "", bootId: "" };

/**
 * Adopts the runs of earlier processes of this runner. Watches live executors to their end, reports ended runs from
 * their status file, and delivers outcomes that were not acknowledged. Executes no run twice.
 */
export async function adoptRuns(registry: RunRegistry, dispatcher: Dispatcher, parts: RunnerParts): Promise<void> {
  const { journal } = parts;
  const log = parts.log.scope("supervisor");
  journal.prune();
  const unfinished = journal.unfinished(log);
  // Before the gateway answers: a 401 to the token of an adopted run would end its executor.
  const grants = new Map(unfinished.map((record) => [record, adoptGrant(record, parts)]));
  parts.gateway.open();
  const isSameBoot = process.platform === "win32" || journal.beginBoot(bootId());
  if (unfinished.length === 0) return;
  for (const { assigned } of unfinished) parts.watchdog.guard(assigned.runId);
  // Before the scan of the processes: the scan finds every executor that has begun by now.
  const notBegun = unfinished.filter(
    (record) => ["starting", "spawning"].includes(record.phase) && preventStart(folderOf(record, parts)),
  );
  const table = await readProcessTable();
  parts.watchdog.endEarlier(table);
  const marked = markedLeaders(table);
  for (const [record, grant] of grants) {
    if (grant === null) {
      registry.remember([record.assigned.runId]);
      dispatcher.track(endEarlierLeftovers(record, parts));
      continue;
    }
    const taken = notBegun.includes(record) ? null : registry.add(record.assigned);
    const identity = record.identity ?? marked.get(record.assigned.runId) ?? NO_PROCESS;
    if (taken !== null) dispatcher.track(adoptRun(taken, record, identity, grant, parts));
    else {
      parts.gateway.revoke(grant);
      dispatcher.track(startAgain({ record, grant, isSameBoot }, dispatcher, parts));
    }
  }
}

/** Null if only the scan for leftovers is outstanding. */
function adoptGrant(record: JournalRun, parts: RunnerParts): Grant | null {
  const { runId, sessionId, projectDir } = record.assigned;
  if (record.phase === "reported") return null;
  const grant = parts.gateway.adopt(runId, sessionId, record, activityRecorder(runId, parts));
  grant.projectDir = projectDir;
  if (grant.token !== record.token) parts.journal.renewed(runId, grant.token);
  return grant;
}

async function adoptRun(
  taken: TakenRun,
  record: JournalRun,
  identity: ProcessIdentity,
  grant: Grant,
  parts: RunnerParts,
): Promise<void> {
  const { run } = taken;
  try {
    if (record.cancel !== null) run.cancel(record.cancel);
    run.isAdopted = true;
    grant.trace = parts.observer.traceOf(run);
    run.moveTo("starting");
    const attempt = await adoptAttempt(run, record, identity, parts);
    await concludeRun(taken, grant, { ...attempt, outcome: record.outcome ?? attempt.outcome }, parts);
  } finally {
    taken.end({ remember: true });
  }
}

/** A stop ends leftovers before the outcome is recorded. Without a spawn there are none. */
function mayHaveLeftovers({ kind }: Outcome): boolean {
  return kind === "succeeded" || kind === "failed" || kind === "vanished";
}

/** The run is reported, but the earlier process died before it ended the leftovers. */
async function endEarlierLeftovers(
  { assigned: { runId, sessionId }, identity }: JournalRun,
  parts: RunnerParts,
): Promise<void> {
  await endLeftovers({ runId, context: { run: runId, session: sessionId } }, identity ?? NO_PROCESS, parts);
  parts.journal.done(runId);
}

/** Watches the executor to its end, which may have come already. A recorded outcome takes precedence. */
async function adoptAttempt(
  run: ActiveRun,
  record: JournalRun,
  identity: ProcessIdentity,
  parts: RunnerParts,
): Promise<Attempt> {
  const log = parts.log.scope("supervisor");
  const mayHaveFiles = record.outcome === null || mayHaveLeftovers(record.outcome) || identity !== NO_PROCESS;
  if (record.outcome !== null && !mayHaveFiles) return { ...notStarted(record.outcome), mayBeReported: true };
  const folder = folderOf(record, parts);
  const open = () => ({
    isAlive: lives(identity),
    child: adoptExecutor(identity, folder, parts.config.outputLimitBytes),
  });
  const taken = await openNowOr(open, () => parts.intake.whenThereIsRoom(open, NEVER));
  if (taken === "cancelled") throw new Error(`the runner has left before it could adopt run ${run.runId}`);
  const { isAlive, child } = taken;
  log.info(
    isAlive
      ? `Adopted run ${run.runId}, whose executor lives (pid ${identity.pid})`
      : `Adopted run ${run.runId}, whose executor has ended`,
    run.context,
  );
  if (record.cancel?.kind === "abandoned")
    log.warn(
      `No runner adopted run ${run.runId} for ${describeMs(record.cancel.afterMs)}, so it was ended`,
      run.context,
    );
  return { ...(await watchRun(run, child, parts)), mayBeReported: !isAlive };
}

/** A closed intake holds up no adoption: watching an executor needs less room than a new run. */
async function openNowOr<T>(open: () => T, later: () => Promise<T | "cancelled">): Promise<T | "cancelled"> {
  try {
    return open();
  } catch (error) {
    if (!isShortage(error)) throw error;
    return later();
  }
}

interface NotBegun {
  readonly record: JournalRun;
  readonly grant: Grant;
  /** After a power cut the mark of a start may be lost: a run that was reported as started counts as begun. */
  readonly isSameBoot: boolean;
}

/** Executes a run whose executor has certainly not begun, if the run still belongs to this runner. */
async function startAgain(
  { record, grant, isSameBoot }: NotBegun,
  dispatcher: Dispatcher,
  parts: RunnerParts,
): Promise<void> {
  const { runId } = record.assigned;
  parts.watchdog.release(runId);
  const found = await deliver("Reading the run", () => parts.coordinator.run(runId), parts.delivery);
  const isOurs = found.kind === "answered" && found.value.runner_id === (await parts.registration.id());
  const status = isOurs ? found.value.status : null;
  // The record stays until the new attempt replaces it: the status `running` does not say that nothing was spawned.
  if (isOurs && (status === "claimed" || (status === "running" && isSameBoot)))
    return dispatcher.take(parseAssignedRun(found.value));
  if (isOurs && status === "running") {
    const taken = dispatcher.registry.add(record.assigned);
    return taken === null ? undefined : adoptRun(taken, record, NO_PROCESS, grant, parts);
  }
  if (status !== "stopping") return parts.journal.forget(runId);
  const taken = dispatcher.registry.add(record.assigned);
  taken?.run.cancel({ kind: "stop-command" });
  if (taken !== null) await executeRun(taken, parts);
}

function folderOf(record: JournalRun, parts: RunnerParts): string {
  return join(parts.runsFolder, record.assigned.runId);
}
