import type { WaitingFor } from "../../protocol/run.ts";
import type { Deadlines } from "../store/deadlines.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import { demandsOf, type RunRow } from "../store/run-row.ts";
import { AT_HEAD, OPEN } from "../store/schema.ts";
import { isoTime, steadyMs, steadyOf, steadyTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

type QueuedRun = Pick<RunRow, "seq" | "session_id" | "demands" | "not_before">;

/** Whether the session has a run that is not scheduled for later. */
const HAS_OPEN = `
  SELECT 1 FROM runs INDEXED BY runs_open_by_session
  WHERE session_id = ? AND ${OPEN} AND (waiting_for IS NULL OR waiting_for <> 'time') LIMIT 1`;
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

  /** Where a new run waits: for its time, for its turn, or for a runner if its turn has come. */
  async placeOf(sessionId: string, notBefore: string | null): Promise<WaitingFor> {
    if (notBefore !== null && notBefore > isoTime()) return "time";
    return (await this.#store.get(HAS_OPEN, sessionId)) === null ? "runner" : "turn";
  }

  /** Call for a new run that was stored at its place. */
  async entered(run: QueuedRun & Pick<RunRow, "waiting_for">): Promise<void> {
    if (run.waiting_for === "time") this.#deadlines.expect(steadyOf(Date.parse(run.not_before ?? isoTime())));
    else if (run.waiting_for === "runner") this.#offered(run);
    else await this.advance(run.session_id);
  }

  /** Queues a retry: it holds the turn of its session and waits for its time. */
  async enterRetry(run: QueuedRun): Promise<void> {
    await this.#set(run.seq, "retry");
    this.#deadlines.expect(Date.parse(run.not_before ?? steadyTime()));
  }

  /** Offers the next run of the session to the runners if no run holds the turn. */
  async advance(sessionId: string): Promise<void> {
    const next = await this.#store.get<QueuedRun>(
      `SELECT ${COLUMNS} FROM runs WHERE session_id = ? AND waiting_for = 'turn' ORDER BY seq LIMIT 1`,
      sessionId,
    );
    if (next === null) return;
    const head = await this.#store.get(`SELECT 1 FROM runs WHERE session_id = ? AND ${AT_HEAD}`, sessionId);
    if (head === null) await this.offer(next);
  }

  /** Makes the run claimable after the commit. The time-out for a matching runner starts now. */
  async offer(run: QueuedRun): Promise<void> {
    await this.#store.run(
      "UPDATE runs SET waiting_for = 'runner', timeout_at = ? WHERE seq = ?",
      run.demands === null ? null : steadyTime(this.#noMatchTimeoutMs),
      run.seq,
    );
    this.#offered(run);
  }

  #offered(run: QueuedRun): void {
    if (run.demands !== null) this.#deadlines.expect(steadyMs() + this.#noMatchTimeoutMs);
    this.#store.afterCommit(() => {
      // Nobody waits for it: the poll that takes the run begins a transaction of its own.
      void this.#waiters.offer(demandsOf(run));
    });
  }

  /** Queues up to `most` runs whose time has come; returns how many. */
  admitDue(most: number): Promise<number> {
    return this.#store.write(async () => {
      const due = await this.#store.all<QueuedRun & { waiting_for: WaitingFor }>(
        `SELECT ${COLUMNS}, waiting_for FROM runs INDEXED BY runs_scheduled
         WHERE waiting_for IN ('time','retry') AND not_before <= CASE waiting_for WHEN 'time' THEN ? ELSE ? END
         ORDER BY not_before LIMIT ?`,
        // A schedule follows the wall clock; the delay of a retry does not.
        isoTime(),
        steadyTime(),
        most,
      );
      for (const run of due) {
        await this.#store.lockTree(run.session_id);
        if (!(await this.#stillWaits(run))) continue;
        if (run.waiting_for === "retry") await this.offer(run);
        else await this.#enterTurn(run);
      }
      return due.length;
    });
  }

  /** Another transaction may have stopped or admitted the run before its tree was locked. */
  async #stillWaits({ seq, waiting_for }: Pick<RunRow, "seq" | "waiting_for">): Promise<boolean> {
    return (await this.#store.get("SELECT 1 FROM runs WHERE seq = ? AND waiting_for = ?", seq, waiting_for)) !== null;
  }

  async #enterTurn(run: QueuedRun): Promise<void> {
    await this.#set(run.seq, "turn");
    await this.advance(run.session_id);
  }

  async #set(seq: number, waitingFor: WaitingFor): Promise<void> {
    await this.#store.run("UPDATE runs SET waiting_for = ? WHERE seq = ?", waitingFor, seq);
  }
}
