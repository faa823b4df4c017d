import { describeError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { AssignedRun, PollMessage } from "../protocol/poll.ts";
import type { ActiveRun } from "./runs/active-run.ts";
import { deliver } from "./link/deliver.ts";
import { executeRun } from "./execution/execute-run.ts";
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
        return this.track(this.#reportBadRun(message.runId, message.fault));
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
    if (taken === null) return this.#log.warn(`Ignored a second delivery of run ${assigned.runId}`, context);
    this.#log.info(`Received run ${assigned.runId} (${assigned.type})`, context);
    if (this.stopping.aborted) taken.run.cancel({ kind: "shutdown" });
    this.track(executeRun(taken, this.parts));
  }

  /**
   * Stops a run. If the run is not here, ends its leftovers and reports it, or its status would be `stopping` for ever.
   */
  async #stopById(runId: string): Promise<void> {
    const run = this.registry.get(runId);
    if (run !== undefined) return stopRun(run);
    if (this.registry.knows(runId)) return;
    const { coordinator, delivery, leftovers } = this.parts;
    const found = await deliver("Reading the run", () => coordinator.run(runId), delivery);
    if (found.kind !== "answered" || found.value.status !== "stopping" || this.registry.knows(runId)) return;
    const context = { run: runId, session: found.value.session_id };
    this.#log.warn(`The coordinator wants to stop run ${runId}, which is not running here`, context);
    // A second stop command, or `LostClaims`, must not report the run again.
    this.registry.remember([runId]);
    const { ended, left } = await leftovers.end(
      { runId, leader: null, graceMs: UNKNOWN_RUN_GRACE_MS },
      { coalesce: false },
    );
    if (ended > 0) this.#log.info(`Ended ${ended} leftover(s) of run ${runId}`, context);
    if (left.length > 0) this.#log.error(`Could not end pid ${left.join(", ")} of run ${runId}`, context);
    const report = { verb: "stopped", signal: "SIGTERM" } as const;
    await deliver("The report stopped", () => sendReport(this.parts, runId, report), {
      ...delivery,
      context,
      isReport: true,
    });
  }

  async #reportBadRun(runId: string, fault: string): Promise<void> {
    const report = { verb: "failed", error: fault } as const;
    await deliver("The report failed", () => sendReport(this.parts, runId, report), {
      ...this.parts.delivery,
      isReport: true,
    });
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
