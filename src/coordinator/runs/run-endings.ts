import type { FailureReason } from "../../protocol/run.ts";
import type { Broadcast } from "../sessions/broadcast.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { RunRow } from "../store/run-row.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import type { Callbacks } from "./callbacks.ts";
import type { Retries } from "./retries.ts";
import type { RunQueue } from "./run-queue.ts";
import { move } from "./run-status.ts";
import { runMsOf, type Statistics } from "./statistics.ts";

/** How a run ended. `durationMs`: how long its executor ran, where its runner says so. */
export type Ending = { readonly durationMs?: number | null | undefined } & (
  | { readonly status: "completed" | "stopped" }
  | { readonly status: "failed"; readonly error: string; readonly reason: FailureReason | null }
);

const SESSION_STATUS_AFTER: Readonly<Record<Ending["status"], string>> = {
  completed: "finished",
  failed: "failed",
  stopped: "stopped",
};

export interface EndingParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly queue: RunQueue;
  readonly retries: Retries;
  readonly statistics: Statistics;
  readonly callbacks: Callbacks;
  readonly broadcast: Broadcast;
}

/** Ends runs, with everything that follows: statistics, a retry, the session's status, callbacks, the next turn. */
export class RunEndings {
  readonly #parts: EndingParts;

  constructor(parts: EndingParts) {
    this.#parts = parts;
  }

  /** Ends a run in the surrounding transaction. Refuses: conflict if the run has ended or was not claimed. */
  async end(run: RunRow, ending: Ending): Promise<void> {
    const { store, sessions, callbacks, queue, retries, statistics } = this.#parts;
    const { status } = ending;
    const { error, reason } = status === "failed" ? ending : { error: null, reason: null };
    const completedAt = isoTime();
    await move(store, run, status, { error, reason, completed_at: completedAt });
    const runMs = ending.durationMs ?? runMsOf(run, completedAt);
    await statistics.ended({ run, status, completedAt, runMs });
    // A run that somebody stopped is not retried, whatever becomes of it.
    const next = run.status === "stopping" ? null : await retries.next(run, reason);
    // A run that never started does not change the status of a session that was active before.
    const setsSession = run.status !== "pending" || (await sessions.find(run.session_id))?.status === "pending";
    const sessionStatus = next === null ? SESSION_STATUS_AFTER[status] : "pending";
    if (setsSession) await sessions.update(run.session_id, { status: sessionStatus }, { run_ms: runMs ?? 0 });
    this.#broadcastEnd(run, ending, next?.run_id ?? null);
    if (next !== null) return;
    await callbacks.runEnded({ ...run, status, error });
    await queue.advance(run.session_id);
  }

  /** A failed attempt that is retried is not broadcast as `run_failed`. */
  #broadcastEnd({ run_id, session_id }: RunRow, ending: Ending, retriedBy: string | null): void {
    const { store, broadcast } = this.#parts;
    const { status } = ending;
    store.afterCommit(() => {
      if (status === "failed" && retriedBy === null)
        broadcast.send("run_failed", session_id, { run_id, error: ending.error, session_id });
      broadcast.send("run_ended", session_id, { run_id, session_id, status, retried_by: retriedBy });
    });
  }
}
