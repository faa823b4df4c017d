import { setImmediate as nextTick } from "node:timers/promises";
import { describeError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { IdempotencyKeys } from "./runs/idempotency-keys.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Statistics } from "./runs/statistics.ts";
import { isoTime, type Store } from "./store/store.ts";

export interface HousekeepingParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly keys: IdempotencyKeys;
  readonly statistics: Statistics;
  /** What ended longer ago is removed; 0: nothing is. */
  readonly keepMs: number;
  readonly everyMs: number;
  readonly log: Log;
}

/** What one transaction removes: a few milliseconds, after which requests have their turn. */
const RUNS_AT_A_TIME = 50;
const SESSIONS_AT_A_TIME = 20;
const EVENTS_AT_A_TIME = 500;
const KEYS_AT_A_TIME = 500;

interface OldRun {
  readonly seq: number;
  readonly run_id: string;
  readonly session_id: string;
}

const SESSION_IS_OVER = `
  SELECT 1 FROM sessions AS s WHERE session_id = ?
    AND NOT EXISTS (SELECT 1 FROM runs WHERE session_id = s.session_id)
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE parent_session_id = s.session_id)
    AND NOT EXISTS (SELECT 1 FROM callbacks WHERE parent_session_id = s.session_id AND delivered_in IS NULL)`;

/**
 * Keeps the database from growing for ever. A run goes when it ended longer ago than is kept, with its events; a session when no run
 * of it is left, no child and nothing that it is yet to be told. Costs stay summed up in the sessions that stay.
 */
export class Housekeeping implements Disposable {
  readonly #parts: HousekeepingParts;
  readonly #timer: Timer;
  #isOver = false;
  #removedRuns = 0;
  #removedSessions = 0;
  #pass: Promise<void> = Promise.resolve();

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => {
      this.#pass = this.#pass.then(() => this.#tidy());
    }, parts.everyMs);
    this.#pass = this.#tidy();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  async #tidy(): Promise<void> {
    const { keys, statistics, keepMs, log } = this.#parts;
    try {
      await this.#repeat(() => keys.forget(KEYS_AT_A_TIME));
      if (keepMs === 0) return;
      const before = isoTime(-keepMs);
      this.#removedRuns = this.#removedSessions = 0;
      await this.#repeat(() => this.#removeRuns(before));
      await this.#removeSessions(before);
      if (this.#isOver) return;
      statistics.forget(before);
      if (this.#removedRuns + this.#removedSessions > 0) {
        log.info(
          `Removed ${this.#removedRuns} runs that ended before ${before}, and ${this.#removedSessions} sessions without runs`,
        );
      }
    } catch (error) {
      // A coordinator that closes takes the database away between two steps.
      if (!this.#isOver) log.error(`housekeeping: ${describeError(error)}`);
    }
  }

  /** Does a piece at a time until there is nothing left; requests are answered between two. */
  async #repeat(piece: () => number): Promise<void> {
    while (!this.#isOver && piece() > 0) await nextTick();
  }

  #removeRuns(before: string): number {
    const { store } = this.#parts;
    const old = store.db
      .query<OldRun, [string, number]>(
        "SELECT seq, run_id, session_id FROM runs WHERE completed_at IS NOT NULL AND completed_at < ? ORDER BY completed_at LIMIT ?",
      )
      .all(before, RUNS_AT_A_TIME);
    return store.write(() => {
      let events = 0;
      for (const run of old) {
        events += this.#removeEventsOf(run, EVENTS_AT_A_TIME - events);
        // It has more of them, perhaps: its turn comes again.
        if (events >= EVENTS_AT_A_TIME) return events;
        store.db.query("DELETE FROM callbacks WHERE child_run_id = ? AND delivered_in IS NOT NULL").run(run.run_id);
        store.db.query("DELETE FROM runs WHERE seq = ?").run(run.seq);
        this.#removedRuns++;
      }
      return old.length;
    });
  }

  /** Where a later run of the session has events of its own; otherwise they tell the session's result and go with the session. */
  #removeEventsOf({ seq, session_id }: OldRun, most: number): number {
    const { db } = this.#parts.store;
    const next = db
      .query<{ events_before: number }, [string, number]>(
        "SELECT events_before FROM runs INDEXED BY runs_by_session WHERE session_id = ? AND seq > ? AND claimed_at IS NOT NULL ORDER BY seq LIMIT 1",
      )
      .get(session_id, seq);
    return next === null ? 0 : this.#removeEvents(session_id, next.events_before, most);
  }

  /** From the youngest of the old ones to the oldest: children before their parents. */
  async #removeSessions(before: string): Promise<void> {
    const { db } = this.#parts.store;
    for (let below = Number.MAX_SAFE_INTEGER; !this.#isOver; await nextTick()) {
      const old = db
        .query<{ seq: number; session_id: string }, [number, string, number]>(
          "SELECT seq, session_id FROM sessions WHERE seq < ? AND created_at < ? ORDER BY seq DESC LIMIT ?",
        )
        .all(below, before, SESSIONS_AT_A_TIME);
      const last = old.at(-1);
      if (last === undefined) return;
      for (const { session_id } of old) await this.#repeat(() => this.#removeSession(session_id));
      below = last.seq;
    }
  }

  /** A piece of a session that is over; 0 where it is not, or has been removed. Looked at each time: somebody may have resumed it. */
  #removeSession(sessionId: string): number {
    const { store, sessions } = this.#parts;
    return store.write(() => {
      if (store.db.query(SESSION_IS_OVER).get(sessionId) === null) return 0;
      const events = this.#removeEvents(sessionId, Number.MAX_SAFE_INTEGER, EVENTS_AT_A_TIME);
      if (events >= EVENTS_AT_A_TIME) return events;
      sessions.delete(sessionId);
      this.#removedSessions++;
      return 1;
    });
  }

  #removeEvents(sessionId: string, upTo: number, most: number): number {
    return this.#parts.store.db
      .query(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY events_by_session WHERE session_id = ? AND seq <= ? LIMIT ?)",
      )
      .run(sessionId, upTo, most).changes;
  }
}
