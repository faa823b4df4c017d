import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import type { Log } from "../../log.ts";
import { type PollMessage, parseAssignedRun } from "../../protocol/poll.ts";
import { isTerminal, type Run } from "../../protocol/run.ts";
import type { HeldRun, Moment, Reconciled, RunView } from "../../protocol/runner.ts";
import type { Registration } from "../link/registration.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import type { Outcome } from "../runs/outcome.ts";
import type { RunRegistry } from "../runs/run-registry.ts";

/** What the journal knows. */
export interface RunRecords {
  outcomeOf(runId: string): Outcome | null;
  isHere(runId: string): boolean;
  seen: Moment | null;
}

export interface ReconcilerOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  readonly journal: RunRecords;
  /** Why this machine takes no runs; null if it does. */
  readonly fault: () => string | null;
  readonly log: Log;
  readonly onMessage: (message: PollMessage) => void;
  /** Delivers an outcome from the journal; resolves when it is acknowledged or refused. */
  readonly reportAgain: (runId: string, outcome: Outcome) => Promise<void>;
  /** Ends leftovers of a run that this runner does not know, and reports it as lost. */
  readonly reportUnknown: (runId: string) => Promise<void>;
}

/** The coordinator's process may change between two exchanges; it never does so three times at once. */
const MOST_EXCHANGES = 3;

/**
 * Makes runner and coordinator agree about every run. The runner names the runs that it holds; the coordinator answers
 * with its view of them, and of every other run that it counts as this runner's. What follows:
 *
 * - a held run that is not this runner's any more: its executor is ended
 * - a run that is open there and ended here: its outcome is reported again, from the journal
 * - a run that is claimed there and never arrived: it is executed
 * - a run that is running there and unknown here: it is reported as lost
 *
 * The coordinator's side is `src/coordinator/runs/reconciliation.ts`.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #underWay = new Set<string>();
  #answeredEpoch: string | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /**
   * Exchanges views by a heartbeat. `isQuiet`: no poll is open that may bring a run, so that a claim which is not here
   * never arrived. Rejects with a CoordinatorFailure.
   */
  async exchange({ isQuiet }: { readonly isQuiet: boolean }): Promise<void> {
    const { coordinator, registration, registry, journal } = this.#options;
    for (let count = 0; count < MOST_EXCHANGES; count++) {
      const held = registry.all().flatMap(heldRun);
      const { seen } = journal;
      const fault = this.#options.fault();
      const answer = await coordinator.heartbeat(registration.runnerId, {
        claimedRunIds: held.filter((run) => run.state === "claimed").map((run) => run.run_id),
        held,
        ...(seen === null ? {} : { seen }),
        ...(fault === null ? {} : { cannot_run: fault }),
        ...(this.#answeredEpoch === undefined ? {} : { answered: this.#answeredEpoch }),
      });
      if (answer.moment !== null) journal.seen = answer.moment;
      await this.#agree(answer, isQuiet);
      // What was said to an earlier process of the coordinator does not count for this one: say it again.
      if (answer.moment === null || (answer.moment.epoch === seen?.epoch && !answer.is_restored)) return;
    }
  }

  async #agree({ runs, asked, moment, is_restored }: Reconciled, isQuiet: boolean): Promise<void> {
    for (const run of runs ?? []) await this.agreeOn(run, isQuiet);
    const { journal, reportAgain } = this.#options;
    if (!is_restored) return;
    this.#options.log.warn(
      "The coordinator's database was restored from a backup: telling it what this runner has done",
    );
    const known = asked.flatMap((runId) => {
      const outcome = journal.outcomeOf(runId);
      return outcome === null ? [] : [reportAgain(runId, outcome)];
    });
    await Promise.all(known);
    this.#answeredEpoch = moment?.epoch;
  }

  /** Acts on the coordinator's view of one run. `row`: the run itself, where it was read already. */
  async agreeOn({ run_id, status, is_own }: RunView, isQuiet: boolean, row?: Run): Promise<void> {
    const { registry, registration, journal } = this.#options;
    const run = registry.get(run_id);
    if (!is_own) return run === undefined ? undefined : this.#revoke(run, status);
    if (run !== undefined) return status === "stopping" && run.isCancellable ? this.#stop(run_id) : undefined;
    const outcome = journal.outcomeOf(run_id);
    if (outcome !== null) return this.#once(run_id, () => this.#reportAgain(run_id, outcome));
    // Its turn comes: the journal has it, and something is being done about it.
    if (journal.isHere(run_id) || registry.knows(run_id)) return;
    if (status === "stopping") return this.#stop(run_id);
    // The existing coordinators cannot say that no other machine of this name is alive, so the run is left alone there.
    if (status === "running" && registration.reconciles)
      return this.#once(run_id, () => this.#options.reportUnknown(run_id));
    if (status === "claimed" && isQuiet) await this.#execute(run_id, row);
  }

  #revoke(run: ActiveRun, status: string): void {
    const what = isTerminal(status) ? `it has ended there (${status})` : `it is ${status} there`;
    if (run.cancel({ kind: "revoked" }))
      this.#options.log.warn(`Run ${run.runId} is no longer this runner's, ${what}: ending its executor`, run.context);
  }

  #stop(runId: string): void {
    this.#options.log.info(`Found a stop of run ${runId} that never arrived`, { run: runId });
    this.#options.onMessage({ kind: "stops", runIds: [runId], sessionIds: [] });
  }

  #reportAgain(runId: string, outcome: Outcome): Promise<void> {
    this.#options.log.info(`Run ${runId} is open at the coordinator but has ended here: reporting it again`, {
      run: runId,
    });
    return this.#options.reportAgain(runId, outcome);
  }

  async #execute(runId: string, row?: Run): Promise<void> {
    const { coordinator, registration, registry, log, onMessage } = this.#options;
    const run = row ?? (await coordinator.run(runId));
    if (run.status !== "claimed" || run.runner_id !== registration.runnerId || registry.knows(runId)) return;
    log.info(`Found run ${runId}, a claim that never arrived`, {
      run: runId,
      session: run.session_id,
    });
    onMessage(parseAssignedRun(run));
  }

  /** A report is delivered for as long as it takes; the next exchange does not begin a second one. */
  #once(runId: string, report: () => Promise<void>): void {
    if (this.#underWay.has(runId)) return;
    this.#underWay.add(runId);
    void report().finally(() => this.#underWay.delete(runId));
  }
}

function heldRun(run: ActiveRun): HeldRun[] {
  switch (run.state) {
    case "queued":
    case "starting":
      return [{ run_id: run.runId, state: "claimed" }];
    case "running":
      return [{ run_id: run.runId, state: "running" }];
    case "reporting":
      return [{ run_id: run.runId, state: "reporting" }];
    case "ended":
      return [];
  }
}
