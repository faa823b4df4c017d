import type { Log } from "../../log.ts";
import type { HeldRun, Heartbeat, Reconciled, RunView } from "../../protocol/runner.ts";
import type { RunnerRow, Runners } from "../runners/runners.ts";
import type { History } from "../store/history.ts";
import type { Store } from "../store/store.ts";
import type { ClaimGate } from "./claim-gate.ts";
import type { RunAdoption } from "./run-adoption.ts";
import type { Runs } from "./runs.ts";
import type { RunTransitions } from "./run-transitions.ts";

export interface ReconciliationParts {
  readonly store: Store;
  readonly history: History;
  readonly runs: Runs;
  readonly runners: Runners;
  readonly adoption: RunAdoption;
  readonly transitions: RunTransitions;
  readonly gate: ClaimGate;
  readonly log: Log;
}

/** More pending runs than this are not asked for: an answer stays below a megabyte. */
const MOST_ASKED = 20_000;

/**
 * Makes coordinator and runner agree about every run. The runner names the runs that it holds; the answer names each
 * run that is open under it here, and the status of each run that it holds wrongly. What the runner does about it is in
 * `src/runner/polling/reconcile.ts`.
 */
export class Reconciliation {
  readonly #parts: ReconciliationParts;

  constructor(parts: ReconciliationParts) {
    this.#parts = parts;
  }

  /** In one transaction. Refuses: unregistered. */
  reconcile(heartbeat: Heartbeat): Promise<Reconciled> {
    const { store, runners, history, gate, transitions } = this.#parts;
    return store.write(async () => {
      const runner = await runners.require(heartbeat.runner_id);
      if (await gate.compare(runner.runner_id, heartbeat)) await transitions.releaseClaims();
      const held = heartbeat.held ?? [];
      for (const each of held) await this.#accept(each, runner);
      const runs = await this.#view(runner, held);
      const isRestored = gate.asks(runner.runner_id);
      const asked = isRestored ? await this.#pendingRuns() : [];
      gate.heard(runner.runner_id, heartbeat);
      return { moment: await history.now(), runs, asked, is_restored: isRestored };
    });
  }

  /** A run that the runner executes is running, whatever an older state of the database says. */
  async #accept({ run_id, state }: HeldRun, runner: RunnerRow): Promise<void> {
    const { store, runs, adoption, transitions, gate, log } = this.#parts;
    const found = await runs.find(run_id);
    if (found === null || state === "reporting") return;
    // Another runner may say that it executes this run.
    if (state === "claimed" && gate.isRestored && !gate.isOpen) return;
    const run = await adoption.adopt(found, runner);
    if (run !== found)
      store.afterCommit(() =>
        log.info("Run is held by its runner: claimed again", { run: run_id, runner: runner.runner_id }),
      );
    if (run.status === "claimed" && run.runner_id === runner.runner_id && state === "running")
      await transitions.executes(run_id, runner.runner_id);
  }

  async #view({ runner_id }: RunnerRow, held: readonly HeldRun[]): Promise<RunView[]> {
    const { runs } = this.#parts;
    const own = (await runs.activeOf(runner_id)).map(({ run_id, status }) => ({ run_id, status, is_own: true }));
    const isOwn = new Set(own.map((run) => run.run_id));
    const others: RunView[] = [];
    for (const { run_id } of held) if (!isOwn.has(run_id)) others.push(await this.#viewOfHeld(run_id));
    return [...own, ...others];
  }

  async #viewOfHeld(runId: string): Promise<RunView> {
    const { runs, gate } = this.#parts;
    const run = await runs.find(runId);
    // After a restore an earlier run of the session may have to end first.
    const isPending = run?.status === "pending" && gate.isRestored;
    return { run_id: runId, status: run?.status ?? "unknown", is_own: isPending };
  }

  /** The runs that look pending: this runner may have executed one after the backup was made. */
  async #pendingRuns(): Promise<string[]> {
    return (
      await this.#parts.store.all<{ run_id: string }>(
        "SELECT run_id FROM runs INDEXED BY runs_by_status WHERE status = 'pending' ORDER BY seq LIMIT ?",
        MOST_ASKED,
      )
    ).map((row) => row.run_id);
  }
}
