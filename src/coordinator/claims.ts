import { satisfies } from "./demands.ts";
import { demandsOf, type RunRow, type Runs } from "./runs.ts";
import { offerOf, type RunnerRow } from "./runners.ts";
import { OPEN } from "./schema.ts";
import type { Sessions } from "./sessions.ts";
import { isoTime, type Store } from "./store.ts";

/**
 * Pending runs in order of creation, only the first of each session and only where no other run of it is active: the runs
 * of one session are executed one after the other, and a run that waits for its turn holds up nobody else.
 */
const CLAIMABLE = `
  SELECT * FROM runs AS r WHERE status = 'pending'
    AND NOT EXISTS (SELECT 1 FROM runs INDEXED BY runs_open_by_session
                    WHERE session_id = r.session_id AND ${OPEN} AND (status <> 'pending' OR seq < r.seq))
  ORDER BY seq`;

/** Hands runs to runners. A claim is a lease until the runner says `started`. */
export class Claims {
  readonly #store: Store;
  readonly #runs: Runs;
  readonly #sessions: Sessions;
  readonly #leaseMs: number;

  constructor(store: Store, runs: Runs, sessions: Sessions, leaseMs: number) {
    this.#store = store;
    this.#runs = runs;
    this.#sessions = sessions;
    this.#leaseMs = leaseMs;
  }

  /** The oldest run that this runner may take, claimed for it; null if there is none. */
  claim(runner: RunnerRow): RunRow | null {
    const offer = offerOf(runner);
    const run = this.#firstClaimable((candidate) => satisfies(offer, demandsOf(candidate)));
    return run === null ? null : this.#give(run, runner);
  }

  /** The runner has these and is about to start them. Runs that are not its own are left as they are. */
  renew(runnerId: string, runIds: readonly string[]): void {
    this.#store.write(() => {
      const renew = this.#store.db.query(
        "UPDATE runs SET lease_until = ? WHERE run_id = ? AND runner_id = ? AND lease_until IS NOT NULL",
      );
      for (const runId of runIds) renew.run(isoTime(this.#leaseMs), runId, runnerId);
    });
  }

  /** After a restart: while the coordinator was away nobody could report, and nobody could claim. */
  renewAll(noMatchTimeoutMs: number): void {
    this.#store.write(() => {
      this.#store.db.query("UPDATE runs SET lease_until = ? WHERE lease_until IS NOT NULL").run(isoTime(this.#leaseMs));
      this.#store.db
        .query("UPDATE runs SET timeout_at = ? WHERE status = 'pending' AND timeout_at IS NOT NULL")
        .run(isoTime(noMatchTimeoutMs));
    });
  }

  /** Takes a claim back: the run is pending again, at its old place in the order, and its session as it was before. */
  release(run: RunRow): void {
    this.#store.write(() => {
      this.#store.db
        .query(
          `UPDATE runs SET status = 'pending', runner_id = NULL, claimed_at = NULL, lease_until = NULL
           WHERE seq = ? AND status = 'claimed'`,
        )
        .run(run.seq);
      if (this.#sessions.find(run.session_id)?.status === "running") {
        this.#sessions.update(run.session_id, { status: run.session_status_before ?? "pending" });
      }
      this.#runs.offerNext(run.session_id);
    });
  }

  #firstClaimable(fits: (run: RunRow) => boolean): RunRow | null {
    for (const run of this.#store.db.query<RunRow, []>(CLAIMABLE).iterate()) if (fits(run)) return run;
    return null;
  }

  #give(run: RunRow, runner: RunnerRow): RunRow {
    return this.#store.write(() => {
      this.#store.db
        .query(
          `UPDATE runs SET status = 'claimed', runner_id = ?, claimed_at = ?, lease_until = ?,
             session_status_before = (SELECT status FROM sessions WHERE session_id = runs.session_id),
             events_before = (SELECT coalesce(max(seq), 0) FROM events)
           WHERE seq = ?`,
        )
        .run(runner.runner_id, isoTime(), isoTime(this.#leaseMs), run.seq);
      this.#sessions.update(run.session_id, { status: "running" });
      return this.#runs.get(run.run_id);
    });
  }
}
