import { callbackMessage } from "./callback-message.ts";
import type { RunRow } from "../store/run-row.ts";
import type { Runs } from "./runs.ts";
import { OPEN } from "../store/schema.ts";
import type { SessionEvents } from "../sessions/session-events.ts";
import type { SessionRow, Sessions } from "../sessions/sessions.ts";
import type { Store } from "../store/store.ts";

interface CallbackRow {
  readonly seq: number;
  readonly child_session_id: string;
  readonly status: string;
  readonly content: string | null;
}

/**
 * `below`: a session and those below it that will report up by themselves. A session that was stopped on purpose passes nothing up, so
 * what is below it does not count; one that failed has been told of.
 */
const below = (silent: string): string => `
  WITH RECURSIVE below(id) AS (
    VALUES (?1)
    UNION
    SELECT s.session_id FROM sessions AS s JOIN below ON s.parent_session_id = below.id
    WHERE s.execution_mode = 'async_callback' AND s.status NOT IN (${silent})
  )`;

/** (CROSS JOIN fixes the order: from the few sessions to their runs.) */
const OPEN_RUN_BELOW = `
  EXISTS (SELECT 1 FROM below CROSS JOIN runs ON parent_session_id = below.id
          WHERE parent_session_id IS NOT NULL AND ${OPEN} AND execution_mode = 'async_callback')`;
const UNTOLD_BELOW =
  "EXISTS (SELECT 1 FROM below CROSS JOIN callbacks AS c ON c.parent_session_id = below.id WHERE c.delivered_in IS NULL";

/**
 * Whether a session still waits for somebody below it: a run started with a callback to it, or to a session further down
 * that will itself report up, is open or has ended and is yet to be told of.
 */
const WAITS_FOR_CHILDREN = `${below("'stopped'")} SELECT ${OPEN_RUN_BELOW} OR ${UNTOLD_BELOW}) AS waits`;

/** Whether a child's run is open: asked first, because the index knows it, however many children there are. */
const HAS_OPEN_RUNS = `
  SELECT EXISTS (SELECT 1 FROM runs WHERE parent_session_id = ?1 AND parent_session_id IS NOT NULL AND ${OPEN}
                 AND execution_mode = 'async_callback') AS waits`;

/**
 * Whether a child of a session has not come to its end: its run is open, or it waits in its turn for somebody below it. A child that failed
 * is told of as it is, whatever still runs below it.
 */
const HAS_OPEN_CHILDREN = `${below("'stopped', 'failed'")} SELECT ${OPEN_RUN_BELOW} OR ${UNTOLD_BELOW} AND below.id <> ?1) AS waits`;

/** `together`: an idle parent is resumed when none of its children is open any more. `each`: at once for each child. */
export type CallbackTiming = "together" | "each";

/** A chain of parents that is longer than this is taken for a loop. */
const MAX_DEPTH = 1_000;

/**
 * Tells parents how their `async_callback` children ended, each end exactly once: it is recorded in the transaction that
 * ends the child's run, and marked as delivered in the transaction that creates the parent's resume run.
 *
 * A parent that is idle is told when the last of its children has come to its end, of all of them in one message (`CallbackTiming`).
 * Whatever may have been the last thing that it waited for (a run's end, a deletion, a session that got another parent) has to end
 * in a look at those above it: `look`.
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
  readonly #timing: CallbackTiming;

  constructor(store: Store, runs: Runs, sessions: Sessions, events: SessionEvents, timing: CallbackTiming) {
    this.#store = store;
    this.#runs = runs;
    this.#sessions = sessions;
    this.#events = events;
    this.#timing = timing;
  }

  /** To be called in the transaction that ended `run`. */
  runEnded(run: RunRow): void {
    const parentId = run.parent_session_id;
    if (run.execution_mode === "async_callback" && parentId !== null && this.#sessions.find(parentId) !== null) {
      if (run.status !== "completed" || !this.#holds(WAITS_FOR_CHILDREN, run.session_id)) this.#record(run, parentId);
      this.look(parentId);
    }
    this.look(run.session_id);
  }

  /**
   * To be called in the transaction that deleted `session`, or that stopped it while it only waited; open runs of it are being stopped. If it
   * had not reported up yet, because it waited for its own children, it never will: its parent is told that it was stopped.
   */
  sessionGivenUp(session: SessionRow): void {
    const parentId = session.parent_session_id;
    if (parentId === null || this.#sessions.find(parentId) === null) return;
    const last = this.#store.db
      .query<RunRow, [string, string]>(
        `SELECT * FROM runs INDEXED BY runs_by_session WHERE session_id = ? AND parent_session_id = ? AND execution_mode = 'async_callback'
         ORDER BY seq DESC LIMIT 1`,
      )
      .get(session.session_id, parentId);
    const isTold =
      last !== null && this.#store.db.query("SELECT 1 FROM callbacks WHERE child_run_id = ?").get(last.run_id) !== null;
    if (last?.status === "completed" && !isTold) this.#record({ ...last, status: "stopped", error: null }, parentId);
    this.look(parentId);
  }

  /** What this session, or one above it, waited for last may just have come to its end. */
  look(sessionId: string): void {
    let at: string | null | undefined = sessionId;
    for (let depth = 0; at && depth < MAX_DEPTH; depth++) {
      this.#deliver(at);
      at = this.#sessions.find(at)?.parent_session_id;
    }
  }

  /** After a restart, which may have brought another timing: everyone who can be told something is. */
  deliverAll(): void {
    this.#store.write(() => {
      const waiting = this.#store.db
        .query<{ id: string }, []>("SELECT DISTINCT parent_session_id AS id FROM callbacks WHERE delivered_in IS NULL")
        .all();
      for (const { id } of waiting) this.#deliver(id);
    });
  }

  #record(run: RunRow, parentId: string): void {
    const content = run.status === "completed" ? this.#events.answer(run.session_id, run.events_before) : run.error;
    this.#store.db
      .query(
        "INSERT INTO callbacks (parent_session_id, child_run_id, child_session_id, status, content) VALUES (?, ?, ?, ?, ?)",
      )
      .run(parentId, run.run_id, run.session_id, run.status, content);
  }

  /**
   * Resumes a session with everything that it is yet to be told, if it is idle and nothing more is to come soon. A session that was
   * stopped is not woken: what it was to be told waits until a run that somebody starts in it has ended.
   */
  #deliver(sessionId: string): void {
    const isUntold =
      this.#store.db
        .query("SELECT 1 FROM callbacks WHERE parent_session_id = ? AND delivered_in IS NULL LIMIT 1")
        .get(sessionId) !== null;
    if (!isUntold || this.#runs.openOf(sessionId).length > 0) return;
    const session = this.#sessions.find(sessionId);
    if (session === null || session.status === "stopped") return;
    if (
      this.#timing === "together" &&
      (this.#holds(HAS_OPEN_RUNS, sessionId) || this.#holds(HAS_OPEN_CHILDREN, sessionId))
    )
      return;
    this.#resume(session);
  }

  #resume(session: SessionRow): void {
    const untold = this.#store.db
      .query<CallbackRow, [string]>(
        "SELECT seq, child_session_id, status, content FROM callbacks WHERE parent_session_id = ? AND delivered_in IS NULL ORDER BY seq",
      )
      .all(session.session_id);
    const outcomes = untold.map((row) => ({
      sessionId: row.child_session_id,
      status: row.status,
      content: row.content,
    }));
    const parentId = session.parent_session_id;
    const run = this.#runs.create({
      type: "resume_session",
      session_id: session.session_id,
      prompt: callbackMessage(outcomes),
      // A parent that has been deleted cannot be told any more.
      parent_session_id: parentId !== null && this.#sessions.find(parentId) !== null ? parentId : null,
      execution_mode: executionModeOf(session.execution_mode),
      // What goes on because of its children is part of the trace in which it started them.
      ...this.#runs.traceOf(session.session_id),
    });
    const mark = this.#store.db.query("UPDATE callbacks SET delivered_in = ? WHERE seq = ?");
    for (const row of untold) mark.run(run.run_id, row.seq);
  }

  #holds(condition: string, sessionId: string): boolean {
    return this.#store.db.query<{ waits: number }, [string]>(condition).get(sessionId)?.waits === 1;
  }
}

function executionModeOf(mode: string | null): "sync" | "async_poll" | "async_callback" {
  return mode === "async_callback" || mode === "async_poll" ? mode : "sync";
}
