import type { WaitingFor } from "../../protocol/run.ts";
import type { Deadlines } from "../store/deadlines.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import { demandsOf, type RunRow } from "../store/run-row.ts";
import { AT_HEAD } from "../store/schema.ts";
import { isoTime, steadyMs, steadyOf, steadyTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

type QueuedRun = Pick<RunRow, "seq" | "session_id" | "demands" | "not_before">;

const COLUMNS = "seq, session_id, demands, not_before";

/**
 * Sets `waiting_for` of pending runs. The runs of a session are executed in order of creation. A scheduled run joins
 * that order when its time comes; a retry keeps the turn of the failed run.
 */
export class RunQueue {
  readonly #store: Store;
  readonly #waiters: PollWaiters;
  readonly #deadlines: Deadlines;
  readonly #noMatchTimeoutMs: number;

  constructor(store: Store, waiters: PollWaiters, deadlines: Deadlines, noMatchTimeoutMs: number) {
    this.#store = store;
    this.#waiters = waiters;
    this.#deadlines = deadlines;
    this.#noMatchTimeoutMs = noMatchTimeoutMs;
  }

  /** Queues a new run: it waits for its time, for its turn, or for a runner if its turn has come. */
  enter(run: QueuedRun): void {
    if (run.not_before !== null && run.not_before > isoTime()) {
      this.#set(run.seq, "time");
      this.#deadlines.expect(steadyOf(Date.parse(run.not_before)));
      return;
    }
    this.#set(run.seq, "turn");
    this.advance(run.session_id);
  }

  /** Queues a retry: it holds the turn of its session and waits for its time. */
  enterRetry(run: QueuedRun): void {
    this.#set(run.seq, "retry");
    this.#deadlines.expect(Date.parse(run.not_before ?? steadyTime()));
  }

  /** Offers the next run of the session to the runners if no run holds the turn. */
  advance(sessionId: string): void {
    if (this.#store.get(`SELECT 1 FROM runs WHERE session_id = ? AND ${AT_HEAD}`, sessionId) !== null) return;
    const next = this.#store.get<QueuedRun>(
      `SELECT ${COLUMNS} FROM runs WHERE session_id = ? AND waiting_for = 'turn' ORDER BY seq LIMIT 1`,
      sessionId,
    );
    if (next !== null) this.offer(next);
  }

  /** Makes the run claimable after the commit. The time-out for a matching runner starts now. */
  offer(run: QueuedRun): void {
    this.#store.run(
      "UPDATE runs SET waiting_for = 'runner', timeout_at = ? WHERE seq = ?",
      run.demands === null ? null : steadyTime(this.#noMatchTimeoutMs),
      run.seq,
    );
    if (run.demands !== null) this.#deadlines.expect(steadyMs() + this.#noMatchTimeoutMs);
    this.#store.afterCommit(() => this.#waiters.offer(demandsOf(run)));
  }

  /** Queues up to `most` runs whose time has come; returns how many. */
  admitDue(most: number): number {
    const due = this.#store.all<QueuedRun & { waiting_for: WaitingFor }>(
      `SELECT ${COLUMNS}, waiting_for FROM runs INDEXED BY runs_scheduled
         WHERE waiting_for IN ('time','retry') AND not_before <= iif(waiting_for = 'time', ?, ?)
         ORDER BY not_before LIMIT ?`,
      // A schedule follows the wall clock; the delay of a retry does not.
      isoTime(),
      steadyTime(),
      most,
    );
    if (due.length === 0) return 0;
    this.#store.write(() => {
      for (const run of due) {
        if (run.waiting_for === "retry") this.offer(run);
        else this.enter({ ...run, not_before: null });
      }
    });
    return due.length;
  }

  #set(seq: number, waitingFor: WaitingFor): void {
    this.#store.run("UPDATE runs SET waiting_for = ? WHERE seq = ?", waitingFor, seq);
  }
}
