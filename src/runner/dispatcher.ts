import type { Report } from "../client/coordinator-client.ts";
import { describeError } from "../errors.ts";
import type { Log, LogContext } from "../log.ts";
import type { AssignedRun, PollMessage } from "../protocol/poll.ts";
import type { ActiveRun } from "./runs/active-run.ts";
import { deliver } from "./link/deliver.ts";
import { executeRun } from "./execution/execute-run.ts";
import { type Outcome, reportOf } from "./runs/outcome.ts";
import type { RunRegistry } from "./runs/run-registry.ts";
import { type RunnerParts, sendReport } from "./execution/runner-parts.ts";
import { showOutput } from "./execution/show-output.ts";

const UNKNOWN_RUN_GRACE_MS = 3_000;

/** Turns what the coordinator says into what is done about it. Nothing here waits: a message never delays the one behind it. */
export class Dispatcher {
  readonly #log: Log;
  readonly #work = new Set<Promise<void>>();

  constructor(
    readonly registry: RunRegistry,
    readonly parts: RunnerParts,
    /** Fired: a run that still arrives is stopped like the others. */
    readonly stopping: AbortSignal,
    readonly onDeregistered: () => void,
  ) {
    this.#log = parts.log.scope("poller");
  }

  take(message: PollMessage): void {
    switch (message.kind) {
      case "run":
        return this.#execute(message.run);
      case "bad-run":
        if (this.registry.knows(message.runId)) return;
        this.#log.error(`Run ${message.runId} cannot be executed: ${message.fault}`, {
          run: message.runId,
          ...(message.sessionId === null ? {} : { session: message.sessionId }),
        });
        // Its claim is accounted for: a look for lost ones must not bring it again while the report is on its way.
        this.registry.remember([message.runId]);
        return this.track(this.#report(message.runId, { verb: "failed", error: message.fault }));
      case "stops":
        for (const runId of message.runIds) this.track(this.#stopById(runId));
        for (const sessionId of message.sessionIds) for (const run of this.registry.ofSession(sessionId)) stopRun(run);
        return;
      case "output-wanted":
        for (const wanted of message.wanted)
          this.track(showOutput(wanted, this.registry.get(wanted.run_id) === undefined, this.parts));
        return;
      case "deregistered":
        return this.onDeregistered();
      case "unknown":
        return this.#log.debug(`Ignored a message that this runner does not serve: ${message.keys.join(", ")}`);
      case "nothing":
        return;
    }
  }

  /** Resolves when all that was begun is through, looks at remains included. */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }

  #execute(assigned: AssignedRun): void {
    const context = { run: assigned.runId, session: assigned.sessionId };
    const taken = this.registry.add(assigned);
    if (taken === null) return this.#onKnownRun(assigned.runId, context);
    this.#log.info(`Received run ${assigned.runId} (${assigned.type})`, context);
    if (this.stopping.aborted) taken.run.cancel({ kind: "shutdown" });
    this.track(executeRun(taken, this.parts));
  }

  /** A run that is not here but is said to be stopping would stay so for ever: what is left of it is ended, and it is reported. */
  async #stopById(runId: string): Promise<void> {
    const run = this.registry.get(runId);
    if (run !== undefined) return stopRun(run);
    if (this.registry.knows(runId)) return;
    const { coordinator, delivery } = this.parts;
    const found = await deliver("Reading the run", () => coordinator.run(runId), delivery);
    if (found.kind !== "answered" || found.value.status !== "stopping" || this.registry.knows(runId)) return;
    const context = { run: runId, session: found.value.session_id };
    this.#log.warn(`Run ${runId} is to be stopped but is not running here`, context);
    // It is accounted for: told twice to stop it, or reading of it elsewhere, nobody reports it a second time.
    this.registry.remember([runId]);
    await this.#endLeftovers(runId, context);
    await this.#report(runId, { verb: "stopped", signal: "SIGTERM" });
  }

  /** A run that has ended here is answered with its outcome: the coordinator has lost the report, with a restored backup. */
  #onKnownRun(runId: string, context: LogContext): void {
    const outcome = this.registry.get(runId) === undefined ? this.parts.journal.outcomeOf(runId) : null;
    this.#log.warn(
      `Run ${runId} was delivered again; ${outcome === null ? "it is executed once" : "its outcome is reported again"}`,
      context,
    );
    if (outcome !== null) this.track(this.reportAgain(runId, outcome));
  }

  /** Delivers the outcome of a run that has ended here. */
  async reportAgain(runId: string, outcome: Outcome): Promise<void> {
    const report = reportOf(outcome);
    if (report !== null) await this.#report(runId, report);
  }

  /** The coordinator counts on a run that this runner does not know: its memory was lost. What is left of it is ended. */
  async reportUnknown(runId: string): Promise<void> {
    this.#log.warn(
      `Run ${runId} is running here according to the coordinator, but is not known: reporting it as lost`,
      {
        run: runId,
      },
    );
    this.registry.remember([runId]);
    await this.#endLeftovers(runId, { run: runId });
    const error = "The runner does not know this run: its state folder is new, or was lost";
    await this.#report(runId, { verb: "failed", error, reason: "runner_lost" });
  }

  async #report(runId: string, report: Report): Promise<void> {
    await deliver(`The report ${report.verb}`, () => sendReport(this.parts, runId, report), {
      ...this.parts.delivery,
      context: { run: runId },
      isReport: true,
    });
  }

  async #endLeftovers(runId: string, context: LogContext): Promise<void> {
    const { ended, left } = await this.parts.leftovers.end(
      { runId, leader: null, graceMs: UNKNOWN_RUN_GRACE_MS },
      { coalesce: false },
    );
    if (ended > 0) this.#log.info(`Ended ${ended} process(es) of run ${runId}`, context);
    if (left.length > 0) this.#log.error(`Could not end pid ${left.join(", ")} of run ${runId}`, context);
  }

  /** What was begun goes on by itself; a fault in one ends nothing else. */
  track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#log.error(`Unexpected: ${describeError(error)}`))
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

export function stopRun(run: ActiveRun): void {
  run.cancel({ kind: "stop-command" });
}
