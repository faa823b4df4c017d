import type { RunStatus } from "../../protocol/run.ts";
import { Refusal } from "../store/refusal.ts";
import type { RunRow } from "../store/run-row.ts";
import { Outdated, type Store } from "../store/store.ts";

/**
 * The life of a run. A run is created pending; a poll claims it; its runner reports `started` (running) and later how
 * the run ended. A claim without `started` goes back to pending when its lease ends. A stop ends a pending run at once;
 * a claimed or running one is stopping until its runner reports any ending. An ended run never changes: a retry is
 * another run. A runner whose machine cannot execute a run gives it back: it is pending again.
 */
const LEGAL: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  pending: ["claimed", "stopped", "failed"],
  claimed: ["running", "pending", "stopping", "completed", "failed", "stopped"],
  running: ["pending", "stopping", "completed", "failed", "stopped"],
  stopping: ["completed", "failed", "stopped"],
  completed: [],
  failed: [],
  stopped: [],
};

type Ended = Pick<RunRow, "completed_at" | "error" | "reason">;

/** The columns that the caller of `move` sets, by the new status. */
interface Changes {
  readonly pending: object;
  readonly claimed: Pick<RunRow, "runner_id" | "claimed_by" | "claimed_at" | "lease_until">;
  readonly running: Pick<RunRow, "started_at">;
  readonly stopping: object;
  readonly completed: Ended;
  readonly failed: Ended;
  readonly stopped: Ended;
}

const ENDED = "waiting_for = NULL, lease_until = NULL, error = ?4, reason = ?5, completed_at = ?6";

/** One fixed statement per status, so that each is compiled once. `?3` rejects a stale row; `valuesOf` has the rest. */
const STATEMENTS: Readonly<Record<RunStatus, string>> = {
  pending: statement("runner_id = NULL, claimed_by = NULL, claimed_at = NULL, started_at = NULL, lease_until = NULL"),
  claimed: statement(
    `waiting_for = NULL, note = NULL, runner_id = ?4, claimed_by = ?5, claimed_at = ?6, lease_until = ?7,
     session_status_before = (SELECT status FROM sessions WHERE session_id = runs.session_id),
     events_before = (SELECT coalesce(max(events.seq), 0) FROM events WHERE events.session_id = runs.session_id)`,
  ),
  running: statement("started_at = ?4, lease_until = NULL"),
  stopping: statement(),
  completed: statement(ENDED),
  failed: statement(ENDED),
  stopped: statement(ENDED),
};

function statement(...columns: readonly string[]): string {
  // Without RETURNING, for which SQLite stores undo data: a claim changes a dozen indexes.
  return `UPDATE runs SET ${["status = ?1", ...columns].join(", ")} WHERE seq = ?2 AND status = ?3`;
}

/** In the order of the statements' numbers. */
function valuesOf(changes: Partial<Changes["claimed"] & Changes["running"] & Ended>): readonly (string | null)[] {
  const { runner_id, claimed_by, claimed_at, lease_until, started_at, error, reason, completed_at } = changes;
  if (claimed_at !== undefined) return [runner_id ?? null, claimed_by ?? null, claimed_at, lease_until ?? null];
  if (started_at !== undefined) return [started_at];
  return completed_at === undefined ? [] : [error ?? null, reason ?? null, completed_at];
}

export function canMove({ status }: Pick<RunRow, "status">, to: RunStatus): boolean {
  return LEGAL[status].includes(to);
}

/**
 * Sets the status of a run and the columns that change with the status. Nothing else writes `runs.status` after the
 * creation of the run. Refuses: conflict for a move that is not in `LEGAL`. Throws Outdated if `run` is stale.
 */
export async function move<To extends RunStatus>(
  store: Store,
  run: Pick<RunRow, "seq" | "status">,
  to: To,
  changes: Changes[To],
): Promise<void> {
  if (!canMove(run, to)) throw new Refusal("conflict", `Run cannot become ${to}: it is ${run.status}`);
  const { changes: moved } = await store.run(STATEMENTS[to], to, run.seq, run.status, ...valuesOf(changes));
  // A runner that has seen a higher count than the database has proves that a backup was restored (`History`).
  await store.run("UPDATE counters SET value = value + 1 WHERE name = 'moves'");
  if (moved !== 1) throw new Outdated(`The run ${run.seq} is no longer ${run.status}`);
}
