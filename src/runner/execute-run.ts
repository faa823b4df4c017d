import { aborted } from "../async/aborted.ts";
import { describeError } from "../errors.ts";
import type { Grant } from "../gateway/grant.ts";
import { type ExecutorProcess, spawnExecutor } from "../process/spawn.ts";
import type { ActiveRun } from "./active-run.ts";
import { deliver } from "./deliver.ts";
import { finishSession } from "./finish-session.ts";
import { describeMs, describeOutcome, type Outcome, outcomeBeforeStart, reportOf } from "./outcome.ts";
import { prepareRun } from "./prepare-run.ts";
import type { TakenRun } from "./run-registry.ts";
import type { RunnerParts } from "./runner-parts.ts";
import { endRemains, supervise } from "./supervise.ts";

const STDOUT_TAIL_BYTES = 64 * 1024;

/**
 * The straight line: what happens to a run from its claim to the acknowledgement of its report.
 *
 * turn, blueprint and preparation, `started`, spawn, watch, outcome, the session's end, the report, the look at what remains.
 *
 * `started` comes before the spawn: a claim whose lease ran out belongs to somebody else, and nothing must be spent on it. The report
 * of a normal end comes before the look at what remains; that of a stop comes after it.
 */
export async function executeRun({ run, turn, end }: TakenRun, parts: RunnerParts): Promise<void> {
  await Promise.race([turn, aborted(run.cancelled)]);
  try {
    await carryOut(run, end, parts);
  } finally {
    // A fault of ours must hold up neither the session's next run nor the runner's leaving.
    end();
  }
}

async function carryOut(run: ActiveRun, end: () => void, parts: RunnerParts): Promise<void> {
  const startedMs = performance.now();
  const grant = parts.gateway.grant(run.runId, run.sessionId);
  const attempt = await attemptRun(run, grant, parts).catch(asFault);
  const { outcome, child } = attempt;
  const log = parts.log.scope("supervisor");

  run.moveTo("reporting");
  parts.gateway.revoke(grant);
  await grant.settled();
  if (outcome.kind === "succeeded" && child !== null) {
    const finished = finishSession(run, grant.activity, () => child.stdout.tail(STDOUT_TAIL_BYTES), parts);
    await finished.catch((error: unknown) => log.error(`Could not finish session ${run.sessionId}: ${describeError(error)}`, run.context));
  }
  const reported = report(run, outcome, parts);
  log.info(`Run ${run.runId} ${describeOutcome(outcome)} after ${describeMs(performance.now() - startedMs)}`, run.context);
  const endedByItself = outcome.kind === "succeeded" || outcome.kind === "failed";
  const looked = child !== null && endedByItself ? endRemains(run, child, parts) : undefined;
  attempt.unwatch();
  child?.close();
  await reported;
  end();
  await looked;
}

interface Attempt {
  readonly outcome: Outcome;
  /** The executor that has ended; null if none was started. */
  readonly child: ExecutorProcess | null;
  readonly unwatch: () => void;
}

function notStarted(outcome: Outcome): Attempt {
  return { outcome, child: null, unwatch() {} };
}

/** A fault of our own must not lose the run: it is reported like any other reason. */
function asFault(error: unknown): Attempt {
  return notStarted({ kind: "not-started", error: `The runner could not execute the run: ${describeError(error)}` });
}

async function attemptRun(run: ActiveRun, grant: Grant, parts: RunnerParts): Promise<Attempt> {
  const log = parts.log.scope("executor");
  if (run.cancelReason !== null) return notStarted(outcomeBeforeStart(run.cancelReason));
  run.moveTo("starting");
  const prepared = await prepareRun(run, grant, parts);
  if (prepared.kind === "fault") return notStarted({ kind: "not-started", error: prepared.error });

  const started = prepared.kind === "ready" ? await claimStart(run, parts) : "cancelled";
  if (started === "cancelled" || prepared.kind === "cancelled" || run.cancelReason !== null) {
    return notStarted(outcomeBeforeStart(run.cancelReason ?? { kind: "shutdown" }));
  }
  if (started !== "acknowledged") return notStarted({ kind: "claim-lost", reason: started.lost });

  log.info(startLine(run, prepared.agentName), run.context);
  const spawned = spawnExecutor(prepared.request);
  if (spawned.kind === "not-started") return notStarted({ kind: "not-started", error: spawned.reason });
  const child = spawned.process;
  run.startedAs(child);
  log.debug(`Executor of run ${run.runId} has pid ${child.pid}`, run.context);
  const unwatch = watchOutputs(run, child, parts);
  const outcome = await supervise(run, child, parts).catch((error: unknown): Outcome => {
    child.signalGroup("SIGKILL");
    return { kind: "failed", error: `The runner could not watch over the run: ${describeError(error)}` };
  });
  return { outcome, child, unwatch };
}

type StartClaim = "acknowledged" | "cancelled" | { readonly lost: string };

/** Tells the coordinator that the run starts; only with its acknowledgement may it. */
async function claimStart(run: ActiveRun, parts: RunnerParts): Promise<StartClaim> {
  const send = (): Promise<void> => parts.coordinator.report(parts.registration.runnerId, run.runId, { verb: "started" });
  const options = { ...parts.delivery, context: run.context, signal: run.cancelled, isReport: true };
  const delivered = await deliver("The report started", send, options);
  switch (delivered.kind) {
    case "answered":
      return "acknowledged";
    case "given-up":
      return "cancelled";
    case "refused":
      return { lost: delivered.failure.message };
  }
}

/** Delivers how the run ended; resolves when that is acknowledged or refused for good. */
async function report(run: ActiveRun, outcome: Outcome, parts: RunnerParts): Promise<void> {
  const message = reportOf(outcome);
  if (message === null) return;
  const send = (): Promise<void> => parts.coordinator.report(parts.registration.runnerId, run.runId, message);
  const delivered = await deliver(`The report ${message.verb}`, send, { ...parts.delivery, context: run.context, isReport: true });
  if (delivered.kind === "refused") {
    parts.log.scope("supervisor").error(`The coordinator refused the report ${message.verb} of run ${run.runId}: ${delivered.failure.message}`, run.context);
  }
}

function startLine(run: ActiveRun, agentName: string | null): string {
  const verb = run.assigned.type === "start_session" ? "Starting" : "Resuming";
  return `${verb} session ${run.sessionId}${agentName === null ? "" : ` with agent ${agentName}`}`;
}

/** Keeps the output files within their bound and, with `-v`, shows what is written, each line with its run before it. */
function watchOutputs(run: ActiveRun, child: ExecutorProcess, { outputs, config, log }: RunnerParts): () => void {
  const scope = log.scope("executor");
  const show = (stream: string) =>
    config.verbose ? (line: string) => scope.debug(`${run.runId} ${stream}| ${line}`, run.context) : undefined;
  const ends = [outputs.watch(child.stdout, show("out")), outputs.watch(child.stderr, show("err"))];
  return () => ends.forEach((end) => end());
}
