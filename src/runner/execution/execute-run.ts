import { aborted } from "../../async/aborted.ts";
import { describeError } from "../../errors.ts";
import type { Grant } from "../../gateway/grant.ts";
import { bootId } from "../../process/adopt.ts";
import {
  type ExecutorProcess,
  type Spawned,
  type SpawnRequest,
  spawnExecutor,
  startFault,
} from "../../process/spawn.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { type Attempt, concludeRun, notStarted, watchOutputs } from "./conclude-run.ts";
import { deliver } from "../link/deliver.ts";
import { CannotRun } from "../runs/intake.ts";
import { type Outcome, STOPPED_BEFORE_START } from "../runs/outcome.ts";
import { prepareRun } from "./prepare-run.ts";
import type { TakenRun } from "../runs/run-registry.ts";
import { activityRecorder, writeRunRecord } from "./run-record.ts";
import { type RunnerParts, sendReport } from "./runner-parts.ts";
import { supervise } from "./supervise.ts";

/**
 * The straight line: the steps of a run from its claim to the acknowledgement of its report.
 *
 * Here: turn, blueprint, preparation, report `started`, spawn, watch, outcome. In `concludeRun`: the session's end, the
 * report, the scan for leftovers. An adopted run enters at "watch" (`adoptRun`).
 *
 * `started` precedes the spawn: after its lease a claim belongs to another runner, and must not cost money here. The
 * header of `journal.ts` says what the journal records before which step. A step before the spawn waits until the
 * machine has room for it; a step after the spawn does not wait.
 */
export async function executeRun(taken: TakenRun, parts: RunnerParts): Promise<void> {
  const { run, turn, end } = taken;
  await Promise.race([turn, aborted(run.cancelled)]);
  try {
    const grant = parts.gateway.grant(run.runId, run.sessionId, activityRecorder(run.runId, parts));
    grant.trace = parts.observer.traceOf(run);
    const attempt = await attemptRun(run, grant, parts).catch(asFault);
    await concludeRun(taken, grant, attempt, parts);
  } finally {
    // A fault of the runner must block neither the session's next run nor the shutdown.
    end({ remember: true });
  }
}

/** A fault of the runner must not lose the run: it is reported like any other failure. */
function asFault(error: unknown): Attempt {
  if (error instanceof CannotRun) return notStarted({ kind: "cannot-run", error: error.message });
  return notStarted({ kind: "not-started", error: `The runner could not execute the run: ${describeError(error)}` });
}

async function attemptRun(run: ActiveRun, grant: Grant, parts: RunnerParts): Promise<Attempt> {
  const { journal, intake } = parts;
  const log = parts.log.scope("executor");
  if (run.cancelReason !== null) return notStarted(beforeStart(run));
  run.moveTo("starting");
  const prepared = await prepareRun(run, grant, parts);
  if (prepared.kind === "fault") return notStarted({ kind: "not-started", error: prepared.error });

  // The existing coordinators take no run back: there it waits longer, and then fails.
  const mayReturn = parts.registration.takesReturns;
  const recorded = await intake.whenThereIsRoom(
    async () => {
      if (prepared.kind === "ready") requireMachine(prepared.request, parts);
      journal.starting(run.assigned, grant.token);
      await journal.durable();
    },
    run.cancelled,
    mayReturn,
  );
  const started = prepared.kind === "ready" && recorded !== "cancelled" ? await claimStart(run, parts) : "cancelled";
  if (started === "cancelled" || prepared.kind === "cancelled" || run.cancelReason !== null)
    return notStarted(beforeStart(run));
  if (started !== "acknowledged") return notStarted({ kind: "claim-revoked", reason: started.revoked });

  log.info(startLine(run, prepared.agentName), run.context);
  const spawn = (): Spawned => spawnOnRecord(run, prepared.request, grant, parts);
  const spawned = await intake.whenThereIsRoom(spawn, run.cancelled, mayReturn);
  if (spawned === "cancelled") return notStarted(beforeStart(run));
  if (spawned.kind === "not-started") return notStarted({ kind: "not-started", error: spawned.reason });
  const child = spawned.process;
  journal.running(
    run.runId,
    child.startedAt === "" ? null : { pid: child.pid, startedAt: child.startedAt, bootId: bootId() },
  );
  log.debug(`Executor of run ${run.runId} has pid ${child.pid}`, run.context);
  return watchRun(run, child, parts);
}

/** A revoked claim is not reported. */
function beforeStart(run: ActiveRun): Outcome {
  return run.cancelReason?.kind === "revoked"
    ? { kind: "claim-revoked", reason: "the run is no longer this runner's" }
    : STOPPED_BEFORE_START;
}

/**
 * Throws a CannotRun for a fault of this machine that would fail each run: it must cost no run. A project directory
 * that the run itself names is the run's own fault.
 */
function requireMachine(request: SpawnRequest, { config }: RunnerParts): void {
  const fault = startFault({ ...request, projectDir: config.projectDir });
  if (fault !== null) throw new CannotRun(fault);
}

/** Records the spawn, then spawns. Throws without a spawn if the machine has no room. */
function spawnOnRecord(
  run: ActiveRun,
  request: SpawnRequest,
  grant: Grant,
  { cgroups, gateway, identityKey, journal, watchdog }: RunnerParts,
): Spawned {
  // Cached now: nothing may fail once the executor lives.
  bootId();
  writeRunRecord(request.runFolder, identityKey, gateway.port, grant.token, run.assigned);
  journal.spawning(run.runId);
  watchdog.guard(run.runId);
  let spawned: Spawned | undefined;
  try {
    return (spawned = spawnExecutor({ ...request, held: gateway.reservation }, cgroups.make(run.runId)));
  } catch (error) {
    journal.notSpawned(run.runId);
    throw error;
  } finally {
    if (spawned?.kind !== "started") {
      cgroups.drop(run.runId);
      watchdog.release(run.runId);
    }
  }
}

/** Watches a new or an adopted executor to its end. */
export async function watchRun(run: ActiveRun, child: ExecutorProcess, parts: RunnerParts): Promise<Attempt> {
  run.watch(child);
  const unwatch = watchOutputs(run, child, parts);
  const outcome = await supervise(run, child, parts).catch((error: unknown): Outcome => {
    child.signalGroup("SIGKILL");
    return { kind: "failed", error: `The runner could not watch the run: ${describeError(error)}` };
  });
  return { outcome, child, unwatch };
}

type StartClaim = "acknowledged" | "cancelled" | { readonly revoked: string };

/** Reports `started`. The run may begin only if the coordinator acknowledges it. */
async function claimStart(run: ActiveRun, parts: RunnerParts): Promise<StartClaim> {
  const options = { ...parts.delivery, context: run.context, signal: run.cancelled, isReport: true };
  const delivered = await deliver(
    "The report started",
    () => sendReport(parts, run.runId, { verb: "started" }),
    options,
  );
  switch (delivered.kind) {
    case "answered":
      return "acknowledged";
    case "given-up":
      return "cancelled";
    case "refused":
      return { revoked: delivered.failure.message };
  }
}

function startLine(run: ActiveRun, agentName: string | null): string {
  const verb = run.assigned.type === "start_session" ? "Starting" : "Resuming";
  return `${verb} session ${run.sessionId}${agentName === null ? "" : ` with agent ${agentName}`}`;
}
