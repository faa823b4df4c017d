import type { WaitingFor } from "../../protocol/run.ts";
import type { Deadlines } from "../store/deadlines.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import { demandsOf, type RunRow } from "../store/run-row.ts";
import { AT_HEAD } from "../store/schema.ts";
import { isoTime, type Store } from "../store/store.ts";

type QueuedRun = Pick<RunRow, "seq" | "session_id" | "demands" | "not_before">;

const COLUMNS = "seq, session_id, demands, not_before";

/**
 * What each pending run waits for. The runs of one session are executed one after the other, in order of creation; a run that is
 * scheduled for later is not in that order until its time has come, while one that is to be tried again keeps its turn.
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

  /** A new run: it waits for its time, for its turn or, if it is that already, for a runner. */
  enter(run: QueuedRun): void {
    if (run.not_before !== null && run.not_before > isoTime()) {
      this.#set(run.seq, "time");
      this.#deadlines.expect(Date.parse(run.not_before));
      return;
    }
    this.#set(run.seq, "turn");
    this.advance(run.session_id);
  }

  /** A failed run's next attempt: it is its session's turn still, and waits for its time. */
  enterRetry(run: QueuedRun): void {
    this.#set(run.seq, "retry");
    this.#deadlines.expect(Date.parse(run.not_before ?? isoTime()));
  }

  /** The session may have become free: if so, its next run is offered to the runners. */
  advance(sessionId: string): void {
    const { db } = this.#store;
    if (db.query(`SELECT 1 FROM runs WHERE session_id = ? AND ${AT_HEAD}`).get(sessionId) !== null) return;
    const next = db
      .query<QueuedRun, [string]>(
        `SELECT ${COLUMNS} FROM runs WHERE session_id = ? AND waiting_for = 'turn' ORDER BY seq LIMIT 1`,
      )
      .get(sessionId);
    if (next !== null) this.offer(next);
  }

  /** The run may be claimed from now on, once this is committed. Its time to find a runner begins. */
  offer(run: QueuedRun): void {
    this.#store.db
      .query("UPDATE runs SET waiting_for = 'runner', timeout_at = ? WHERE seq = ?")
      .run(run.demands === null ? null : isoTime(this.#noMatchTimeoutMs), run.seq);
    if (run.demands !== null) this.#deadlines.expect(Date.now() + this.#noMatchTimeoutMs);
    this.#store.afterCommit(() => this.#waiters.offer(demandsOf(run)));
  }

  /** Lets in the runs whose time has come, `most` at a time; how many there were. */
  admitDue(most: number): number {
    const due = this.#store.db
      .query<QueuedRun & { waiting_for: WaitingFor }, [string, number]>(
        `SELECT ${COLUMNS}, waiting_for FROM runs WHERE waiting_for IN ('time','retry') AND not_before <= ? ORDER BY not_before LIMIT ?`,
      )
      .all(isoTime(), most);
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
    this.#store.db.query("UPDATE runs SET waiting_for = ? WHERE seq = ?").run(waitingFor, seq);
  }
}
