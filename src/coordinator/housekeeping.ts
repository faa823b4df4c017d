import { setImmediate as nextTick } from "node:timers/promises";
import { describeError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { IdempotencyKeys } from "./runs/idempotency-keys.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Statistics } from "./runs/statistics.ts";
import { ClockGuard } from "./store/clock-guard.ts";
import { Refusal } from "./store/refusal.ts";
import { isoTime } from "./store/clock.ts";
import type { Store } from "./store/store.ts";

export interface HousekeepingParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly keys: IdempotencyKeys;
  readonly statistics: Statistics;
  /** How long ended runs are kept; 0: forever. */
  readonly keepMs: number;
  readonly everyMs: number;
  readonly log: Log;
}

/** The work of one transaction takes a few milliseconds; requests are answered in between. */
const RUNS_AT_A_TIME = 50;
const SESSIONS_AT_A_TIME = 20;
const EVENTS_AT_A_TIME = 500;
const KEYS_AT_A_TIME = 500;

interface OldRun {
  readonly seq: number;
  readonly run_id: string;
  readonly session_id: string;
}

const SESSION_IS_UNUSED = `
  SELECT 1 FROM sessions AS s WHERE session_id = ?
    AND NOT EXISTS (SELECT 1 FROM runs WHERE session_id = s.session_id)
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE parent_session_id = s.session_id)
    AND NOT EXISTS (SELECT 1 FROM callbacks WHERE parent_session_id = s.session_id AND delivered_in IS NULL)`;

/**
 * Bounds the size of the database. Deletes old ended runs with their events, then old sessions without runs, children
 * or undelivered callbacks. The remaining sessions keep the costs of deleted runs in their sums.
 */
export class Housekeeping implements Disposable {
  readonly #parts: HousekeepingParts;
  readonly #timer: Timer;
  readonly #clock: ClockGuard;
  #isDisposed = false;
  #removedRuns = 0;
  #removedSessions = 0;
  #pass: Promise<void> = Promise.resolve();

  private constructor(parts: HousekeepingParts, clock: ClockGuard) {
    this.#parts = parts;
    this.#clock = clock;
    this.#timer = setInterval(() => {
      this.#pass = this.#pass.then(() => this.#clean());
    }, parts.everyMs);
    this.#pass = this.#clean();
  }

  static async start(parts: HousekeepingParts): Promise<Housekeeping> {
    return new Housekeeping(parts, await ClockGuard.open(parts.store, parts.log));
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearInterval(this.#timer);
  }

  async #clean(): Promise<void> {
    const { keys, statistics, keepMs, log } = this.#parts;
    try {
      if (!(await this.#clock.isCredible())) return;
      await this.#repeat(() => keys.forget(KEYS_AT_A_TIME));
      if (keepMs === 0) return;
      const before = isoTime(-keepMs);
      this.#removedRuns = this.#removedSessions = 0;
      await this.#repeat(() => this.#removeRuns(before));
      await this.#removeSessions(before);
      if (this.#isDisposed) return;
      await statistics.forget(before);
      if (this.#removedRuns + this.#removedSessions > 0) {
        log.info(
          `Removed ${this.#removedRuns} runs that ended before ${before}, ` +
            `and ${this.#removedSessions} sessions without runs`,
        );
      }
    } catch (error) {
      // `close` may close the database between two steps. A fault of the database is logged by its health, once.
      if (!this.#isDisposed && !(error instanceof Refusal)) log.error(`Housekeeping failed: ${describeError(error)}`);
    }
  }

  /** Repeats `step` until it has removed everything; requests are answered between two steps. */
  async #repeat(step: () => Promise<number>): Promise<void> {
    while (!this.#isDisposed && (await step()) > 0) await nextTick();
  }

  async #removeRuns(before: string): Promise<number> {
    const { store } = this.#parts;
    const old = await store.all<OldRun>(
      `SELECT seq, run_id, session_id FROM runs
         WHERE completed_at IS NOT NULL AND completed_at < ? ORDER BY completed_at LIMIT ?`,
      before,
      RUNS_AT_A_TIME,
    );
    return store.write(async () => {
      let events = 0;
      for (const run of old) {
        events += await this.#removeEventsOf(run, EVENTS_AT_A_TIME - events);
        // The run may have more events: the next step continues with it.
        if (events >= EVENTS_AT_A_TIME) return events;
        await store.run("DELETE FROM callbacks WHERE child_run_id = ? AND delivered_in IS NOT NULL", run.run_id);
        await store.run("DELETE FROM runs WHERE seq = ?", run.seq);
        store.afterCommit(() => void this.#removedRuns++);
      }
      return old.length;
    });
  }

  /** Removes the events of a run. The events of the last run hold the session's result and stay with the session. */
  async #removeEventsOf({ seq, session_id }: OldRun, most: number): Promise<number> {
    const next = await this.#parts.store.get<{ events_before: number }>(
      `SELECT events_before FROM runs INDEXED BY runs_by_session
         WHERE session_id = ? AND seq > ? AND claimed_at IS NOT NULL ORDER BY seq LIMIT 1`,
      session_id,
      seq,
    );
    return next === null ? 0 : await this.#removeEvents(session_id, next.events_before, most);
  }

  /** Goes from the newest old session to the oldest: children come before their parents. */
  async #removeSessions(before: string): Promise<void> {
    for (let below = Number.MAX_SAFE_INTEGER; !this.#isDisposed; await nextTick()) {
      const old = await this.#parts.store.all<{ seq: number; session_id: string }>(
        "SELECT seq, session_id FROM sessions WHERE seq < ? AND created_at < ? ORDER BY seq DESC LIMIT ?",
        below,
        before,
        SESSIONS_AT_A_TIME,
      );
      const last = old.at(-1);
      if (last === undefined) return;
      for (const { session_id } of old) await this.#repeat(() => this.#removeSession(session_id));
      below = last.seq;
    }
  }

  /**
   * Removes a part of a session; returns 0 if the session is gone or in use. Each call checks that again: a client may
   * have resumed the session.
   */
  #removeSession(sessionId: string): Promise<number> {
    const { store, sessions } = this.#parts;
    return store.write(async () => {
      await store.lockTree(sessionId);
      if ((await store.get(SESSION_IS_UNUSED, sessionId)) === null) return 0;
      const events = await this.#removeEvents(sessionId, Number.MAX_SAFE_INTEGER, EVENTS_AT_A_TIME);
      if (events >= EVENTS_AT_A_TIME) return events;
      await sessions.delete(sessionId);
      store.afterCommit(() => void this.#removedSessions++);
      return 1;
    });
  }

  async #removeEvents(sessionId: string, upTo: number, most: number): Promise<number> {
    return (
      await this.#parts.store.run(
        `DELETE FROM events WHERE seq IN
           (SELECT seq FROM events INDEXED BY events_by_session WHERE session_id = ? AND seq <= ? LIMIT ?)`,
        sessionId,
        upTo,
        most,
      )
    ).changes;
  }
}
