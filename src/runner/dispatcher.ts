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

/** Handles each message of a poll. Never blocks: the work that a message starts runs in the background. */
export class Dispatcher {
  readonly #log: Log;
  readonly #work = new Set<Promise<void>>();

  constructor(
    readonly registry: RunRegistry,
    readonly parts: RunnerParts,
    /** Once it has fired, a run that still arrives is cancelled too. */
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
        // `LostClaims` must not find the run again while the report is in flight.
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
        return this.#log.debug(`Ignored an unknown message: ${message.keys.join(", ")}`);
      case "nothing":
        return;
    }
  }

  /** Resolves when all background work has ended, scans for leftovers included. */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }

  #execute(assigned: AssignedRun): void {
    const context = { run: assigned.runId, session: assigned.sessionId };
    const taken = this.registry.add(assigned);
    if (taken === null) return this.#onKnownRun(assigned.runId, context);
    this.#log.info(`Received run ${assigned.runId} (${assigned.type})`, context);
    if (this.stopping.aborted) taken.run.cancel({ kind: "shutdown" });
    this.parts.intake.took();
    this.track(executeRun(taken, this.parts));
  }

  /**
   * Stops a run. If the run is not here, ends its leftovers and reports it, or its status would be `stopping` for ever.
   */
  async #stopById(runId: string): Promise<void> {
    const run = this.registry.get(runId);
    if (run !== undefined) return stopRun(run);
    if (this.registry.knows(runId)) return;
    const { coordinator, delivery } = this.parts;
    const found = await deliver("Reading the run", () => coordinator.run(runId), delivery);
    if (found.kind !== "answered" || found.value.status !== "stopping" || this.registry.knows(runId)) return;
    const context = { run: runId, session: found.value.session_id };
    this.#log.warn(`The coordinator wants to stop run ${runId}, which is not running here`, context);
    // A second stop command, or `LostClaims`, must not report the run again.
    this.registry.remember([runId]);
    await this.#endLeftovers(runId, context);
    await this.#report(runId, { verb: "stopped", signal: "SIGTERM" });
  }

  /** Answers with the outcome of a run that has ended here: a restored coordinator has lost the report. */
  #onKnownRun(runId: string, context: LogContext): void {
    const outcome = this.registry.get(runId) === undefined ? this.parts.journal.outcomeOf(runId) : null;
    if (outcome === null) return this.#log.warn(`Ignored a second delivery of run ${runId}`, context);
    this.#log.warn(`Run ${runId} was delivered again after its end: reporting its outcome again`, context);
    this.track(this.reportAgain(runId, outcome));
  }

  /** Delivers the outcome of a run that has ended here. */
  async reportAgain(runId: string, outcome: Outcome): Promise<void> {
    const report = reportOf(outcome);
    if (report !== null) await this.#report(runId, report);
  }

  /** Ends leftovers of a run that the coordinator counts as running here, and reports it lost: the journal is gone. */
  async reportUnknown(runId: string): Promise<void> {
    this.#log.warn(`The coordinator has run ${runId} as running here, but it is unknown here: reporting it as lost`, {
      run: runId,
    });
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
    if (ended > 0) this.#log.info(`Ended ${ended} leftover(s) of run ${runId}`, context);
    if (left.length > 0) this.#log.error(`Could not end pid ${left.join(", ")} of run ${runId}`, context);
  }

  /** Runs the work in the background. Logs its failure. */
  track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#log.error(`Unexpected error: ${describeError(error)}`))
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

export function stopRun(run: ActiveRun): void {
  run.cancel({ kind: "stop-command" });
}
