import type { CreateRun } from "../../protocol/run.ts";
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
 * The table `below`: a session and the descendants that report up to it through callbacks. A session whose status is in
 * `excluded` ends the chain. A stopped session reports nothing up; the failure of a failed session is already reported.
 */
const below = (excluded: string): string => `
  WITH RECURSIVE below(id) AS (
    SELECT session_id FROM sessions WHERE session_id = ?1
    UNION
    SELECT s.session_id FROM sessions AS s JOIN below ON s.parent_session_id = below.id
    WHERE s.execution_mode = 'async_callback' AND s.status NOT IN (${excluded})
  )`;

/** CROSS JOIN fixes the join order: from the few sessions to their runs. */
const OPEN_RUN_BELOW = `
  EXISTS (SELECT 1 FROM below CROSS JOIN runs ON parent_session_id = below.id
          WHERE parent_session_id IS NOT NULL AND ${OPEN} AND execution_mode = 'async_callback')`;
/** Open at the end: the caller may add a condition and closes the parenthesis. */
const UNDELIVERED_BELOW = `
  EXISTS (SELECT 1 FROM below CROSS JOIN callbacks AS c ON c.parent_session_id = below.id
          WHERE c.delivered_in IS NULL`;

/**
 * Whether a session waits for a callback, its own or one of a descendant that reports up to it: a run with a callback
 * is open, or its callback is undelivered.
 */
const WAITS_FOR_CHILDREN = `${below("'stopped'")} SELECT ${OPEN_RUN_BELOW} OR ${UNDELIVERED_BELOW}) AS waits`;

/** Whether a child's run is open. Asked first: an index answers it, however many children there are. */
const HAS_OPEN_RUNS = `
  SELECT EXISTS (SELECT 1 FROM runs WHERE parent_session_id = ?1 AND parent_session_id IS NOT NULL AND ${OPEN}
                 AND execution_mode = 'async_callback') AS waits`;

/**
 * Whether a child of the session has not ended: its run is open, or the child waits for its own descendants. A failed
 * child has ended even if descendants of it still run.
 */
const HAS_OPEN_CHILDREN = `
  ${below("'stopped', 'failed'")}
  SELECT ${OPEN_RUN_BELOW} OR ${UNDELIVERED_BELOW} AND below.id <> ?1) AS waits`;

interface Level {
  readonly parent_session_id: string | null;
  readonly waits: number;
}

/** The next session upwards, and whether this one has undelivered callbacks. */
const LEVEL = `
  SELECT parent_session_id,
    EXISTS (SELECT 1 FROM callbacks AS c WHERE c.parent_session_id = s.session_id AND c.delivered_in IS NULL) AS waits
  FROM sessions AS s WHERE session_id = ?`;

/** `together`: an idle parent is resumed when all its children have ended. `each`: after each child. */
export type CallbackTiming = "together" | "each";

/** Ends the walk in a cycle of parents. */
const MAX_DEPTH = 1_000;

/**
 * Delivers the endings of `async_callback` children to their parents, each exactly once. The transaction that ends the
 * child's run records the callback. The transaction that creates the parent's resume run marks the callback as
 * delivered.
 *
 * An idle parent gets the callbacks of all children in one message, when the last child has ended (`CallbackTiming`).
 * Every change that a parent may wait for must call `deliverUpwards`: the end of a run, a deletion, a new parent.
 *
 * A session with a waiting parent often completes its run only to wait for its own children. That is no result, so its
 * parent gets no callback yet. The run that the last child's callback starts brings the result. A failed or stopped run
 * is recorded at once.
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

  /** Call in the transaction that ended `run`. */
  async runEnded(run: RunRow): Promise<void> {
    const parentId = run.parent_session_id;
    if (
      run.execution_mode === "async_callback" &&
      parentId !== null &&
      (await this.#sessions.find(parentId)) !== null
    ) {
      if (run.status !== "completed" || !(await this.#holds(WAITS_FOR_CHILDREN, run.session_id)))
        await this.#record(run, parentId);
      await this.deliverUpwards(parentId);
    }
    await this.deliverUpwards(run.session_id);
  }

  /**
   * Call in the transaction that deletes `session`, or stops it while it only waits. If the session waited for its own
   * children and has not reported up, it never will: its parent gets the callback that it was stopped.
   */
  async sessionStopped(session: SessionRow): Promise<void> {
    const parentId = session.parent_session_id;
    if (parentId === null || (await this.#sessions.find(parentId)) === null) return;
    const last = await this.#store.get<RunRow>(
      `SELECT * FROM runs INDEXED BY runs_by_session
         WHERE session_id = ? AND parent_session_id = ? AND execution_mode = 'async_callback'
         ORDER BY seq DESC LIMIT 1`,
      session.session_id,
      parentId,
    );
    const isRecorded =
      last !== null && (await this.#store.get("SELECT 1 FROM callbacks WHERE child_run_id = ?", last.run_id)) !== null;
    if (last?.status === "completed" && !isRecorded)
      await this.#record({ ...last, status: "stopped", error: null }, parentId);
    await this.deliverUpwards(parentId);
  }

  /** Call after anything ends: delivers pending callbacks to this session and each ancestor. */
  async deliverUpwards(sessionId: string): Promise<void> {
    let at: string | null = sessionId;
    for (let depth = 0; at !== null && depth < MAX_DEPTH; depth++) {
      const session: Level | null = await this.#store.get<Level>(LEVEL, at);
      if (session?.waits === 1) await this.#deliver(at);
      at = session?.parent_session_id ?? null;
    }
  }

  /** Call after a restart, which may have changed the timing: delivers all callbacks that can be delivered. */
  async deliverAll(): Promise<void> {
    await this.#store.write(async () => {
      const waiting = await this.#store.all<{ id: string }>(
        "SELECT DISTINCT parent_session_id AS id FROM callbacks WHERE delivered_in IS NULL",
      );
      for (const { id } of waiting) {
        await this.#store.lockTree(id);
        await this.#deliver(id);
      }
    });
  }

  async #record(run: RunRow, parentId: string): Promise<void> {
    const content = run.status === "completed" ? await this.#events.answerOf(run) : run.error;
    await this.#store.run(
      `INSERT INTO callbacks (parent_session_id, child_run_id, child_session_id, status, content)
         VALUES (?, ?, ?, ?, ?)`,
      parentId,
      run.run_id,
      run.session_id,
      run.status,
      content,
    );
  }

  /**
   * Resumes an idle session that has undelivered callbacks, unless more are due soon. A stopped session is not resumed:
   * its callbacks wait until a client starts a run in the session and that run ends.
   */
  async #deliver(sessionId: string): Promise<void> {
    if ((await this.#runs.openOf(sessionId)).length > 0) return;
    const session = await this.#sessions.find(sessionId);
    if (session === null || session.status === "stopped") return;
    if (
      this.#timing === "together" &&
      ((await this.#holds(HAS_OPEN_RUNS, sessionId)) || (await this.#holds(HAS_OPEN_CHILDREN, sessionId)))
    )
      return;
    await this.#resume(session);
  }

  async #resume(session: SessionRow): Promise<void> {
    const undelivered = await this.#store.all<CallbackRow>(
      `SELECT seq, child_session_id, status, content FROM callbacks
         WHERE parent_session_id = ? AND delivered_in IS NULL ORDER BY seq`,
      session.session_id,
    );
    const outcomes = undelivered.map((row) => ({
      sessionId: row.child_session_id,
      status: row.status,
      content: row.content,
    }));
    const parentId = session.parent_session_id;
    const resume: CreateRun = {
      type: "resume_session",
      session_id: session.session_id,
      prompt: callbackMessage(outcomes),
      // A deleted parent gets no callback.
      parent_session_id: parentId !== null && (await this.#sessions.find(parentId)) !== null ? parentId : null,
      execution_mode: executionModeOf(session.execution_mode),
      // The trace in which the session started its children, and the bounds that its children had.
      ...(await this.#runs.continued(session.session_id)),
    };
    const run = await this.#runs.create(resume, null);
    for (const { seq } of undelivered)
      await this.#store.run("UPDATE callbacks SET delivered_in = ? WHERE seq = ?", run.run_id, seq);
  }

  async #holds(condition: string, sessionId: string): Promise<boolean> {
    return (await this.#store.get<{ waits: number }>(condition, sessionId))?.waits === 1;
  }
}

function executionModeOf(mode: string | null): "sync" | "async_poll" | "async_callback" {
  return mode === "async_callback" || mode === "async_poll" ? mode : "sync";
}
