import { Refusal } from "../store/refusal.ts";
import type { RunnerRow } from "../runners/runners.ts";
import type { RunRow } from "../store/run-row.ts";
import { AT_HEAD } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import type { ClaimGate } from "./claim-gate.ts";
import type { Claims } from "./claims.ts";

/**
 * Gives a pending run back to the runner that has it: its lease ended while the runner was cut off, or a restored
 * backup shows the run as it was before the claim.
 */
export class RunAdoption {
  readonly #store: Store;
  readonly #claims: Claims;
  readonly #gate: ClaimGate;

  constructor(store: Store, claims: Claims, gate: ClaimGate) {
    this.#store = store;
    this.#claims = claims;
    this.#gate = gate;
  }

  /** The run as it is afterwards; unchanged where it cannot be this runner's now. */
  async adopt(run: RunRow, runner: RunnerRow): Promise<RunRow> {
    return run.status === "pending" && (await this.#isFree(run)) ? await this.#claims.giveTo(run, runner) : run;
  }

  /**
   * Before a report on a run that the runner executed before a backup was restored. Refuses, unavailable: an earlier
   * run of the session is open here. The runner repeats the report.
   */
  async adoptForReport(run: RunRow, runner: RunnerRow): Promise<RunRow> {
    if (run.status !== "pending" || !this.#gate.isRestored) return run;
    const adopted = await this.adopt(run, runner);
    if (adopted.status === "pending") throw new Refusal("unavailable", "An earlier run of the session is open");
    return adopted;
  }

  /** A session has one active run at a time. */
  async #isFree(run: RunRow): Promise<boolean> {
    if (run.waiting_for === "runner") return true;
    if (!this.#gate.isRestored) return false;
    const other = `SELECT 1 FROM runs WHERE session_id = ? AND seq <> ? AND ${AT_HEAD}`;
    return (await this.#store.get(other, run.session_id, run.seq)) === null;
  }
}
