import { callbackMessage } from "./callback-message.ts";
import type { RunRow, Runs } from "./runs.ts";
import { OPEN } from "./schema.ts";
import type { SessionEvents } from "./session-events.ts";
import type { Sessions } from "./sessions.ts";
import type { Store } from "./store.ts";

interface CallbackRow {
  readonly seq: number;
  readonly child_session_id: string;
  readonly status: string;
  readonly content: string | null;
}

/**
 * Whether a session still waits for somebody below it: a run started with a callback to it, or to a session further down
 * that will itself report up, is open or has ended and is yet to be told of. A session that was stopped on purpose passes
 * nothing up, so what is below it does not count. (CROSS JOIN fixes the order: from the few sessions to their runs.)
 */
const WAITS_FOR_CHILDREN = `
  WITH RECURSIVE below(id) AS (
    VALUES (?1)
    UNION
    SELECT s.session_id FROM sessions AS s JOIN below ON s.parent_session_id = below.id
    WHERE s.execution_mode = 'async_callback' AND s.status <> 'stopped'
  )
  SELECT
    EXISTS (SELECT 1 FROM below CROSS JOIN runs ON parent_session_id = below.id
            WHERE parent_session_id IS NOT NULL AND ${OPEN} AND execution_mode = 'async_callback')
    OR EXISTS (SELECT 1 FROM below CROSS JOIN callbacks AS c ON c.parent_session_id = below.id WHERE c.delivered_in IS NULL)
    AS waits`;

/**
 * Tells parents how their `async_callback` children ended, each end exactly once: it is recorded in the transaction that
 * ends the child's run, and marked as delivered in the transaction that creates the parent's resume run.
 *
 * A parent that has itself a parent waiting for a callback often ends its run only to wait for its own children. That is
 * no result, so its parent is told nothing yet; the run that the last child's callback starts brings the result up.
 * A run that failed or was stopped is told of at once.
 */
export class Callbacks {
  readonly #store: Store;
  readonly #runs: Runs;
  readonly #sessions: Sessions;
  readonly #events: SessionEvents;

  constructor(store: Store, runs: Runs, sessions: Sessions, events: SessionEvents) {
    this.#store = store;
    this.#runs = runs;
    this.#sessions = sessions;
    this.#events = events;
  }

  /** To be called in the transaction that ended `run`. */
  runEnded(run: RunRow): void {
    const parentId = run.parent_session_id;
    if (run.execution_mode === "async_callback" && parentId !== null && this.#sessions.find(parentId) !== null) {
      if (run.status !== "completed" || !this.#waitsForChildren(run.session_id)) {
        this.#record(run, parentId);
        this.#deliver(parentId);
      }
    }
    this.#deliver(run.session_id);
  }

  #record(run: RunRow, parentId: string): void {
    const content = run.status === "completed" ? this.#events.answer(run.session_id, run.events_before) : run.error;
    this.#store.db
      .query("INSERT INTO callbacks (parent_session_id, child_run_id, child_session_id, status, content) VALUES (?, ?, ?, ?, ?)")
      .run(parentId, run.run_id, run.session_id, run.status, content);
  }

  /**
   * Resumes a session with everything that it is yet to be told, if it is idle. A session that was stopped is not woken:
   * what it was to be told waits until a run that somebody starts in it has ended.
   */
  #deliver(sessionId: string): void {
    const waiting = this.#store.db
      .query<CallbackRow, [string]>(
        "SELECT seq, child_session_id, status, content FROM callbacks WHERE parent_session_id = ? AND delivered_in IS NULL ORDER BY seq",
      )
      .all(sessionId);
    if (waiting.length === 0 || this.#runs.openOf(sessionId).length > 0) return;
    const session = this.#sessions.find(sessionId);
    if (session === null || session.status === "stopped") return;
    const outcomes = waiting.map((row) => ({ sessionId: row.child_session_id, status: row.status, content: row.content }));
    const parentId = session.parent_session_id;
    const run = this.#runs.create({
      type: "resume_session",
      session_id: sessionId,
      prompt: callbackMessage(outcomes),
      // A parent that has been deleted cannot be told any more.
      parent_session_id: parentId !== null && this.#sessions.find(parentId) !== null ? parentId : null,
      execution_mode: executionModeOf(session.execution_mode),
    });
    const mark = this.#store.db.query("UPDATE callbacks SET delivered_in = ? WHERE seq = ?");
    for (const row of waiting) mark.run(run.run_id, row.seq);
  }

  #waitsForChildren(sessionId: string): boolean {
    return this.#store.db.query<{ waits: number }, [string]>(WAITS_FOR_CHILDREN).get(sessionId)?.waits === 1;
  }
}

function executionModeOf(mode: string | null): "sync" | "async_poll" | "async_callback" {
  return mode === "async_callback" || mode === "async_poll" ? mode : "sync";
}
