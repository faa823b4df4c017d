import { Refusal } from "../store/refusal.ts";
import { MAX_TREE_SESSIONS } from "../store/dialects.ts";
import type { Page } from "../store/lists.ts";
import { ACTIVE, AT_HEAD } from "../store/schema.ts";
import type { EventRow } from "./session-events.ts";
import { type SessionRow, wireSession } from "./sessions.ts";
import type { Store } from "../store/store.ts";

/** The sums over a session and its descendants. */
export interface RollUp {
  readonly sessions: number;
  /** Number of sessions by status. */
  readonly by_status: Readonly<Record<string, number>>;
  readonly total_cost_usd: number;
  readonly num_turns: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly run_ms: number;
}

/** The last event of a session, without its content. */
export interface LastEvent {
  readonly event_id: number;
  readonly event_type: string | null;
  readonly tool_name: string | null;
  readonly timestamp: string | null;
}

/** The beginning of the session's first prompt. */
const TITLE = `
  SELECT substr(prompt, 1, 300) AS title FROM runs INDEXED BY runs_by_session
  WHERE session_id = ? ORDER BY seq LIMIT 1`;

/** Limits how many unclaimed runs a list of active trees reads: a hundred thousand may be pending. */
const MAX_PENDING_RUNS = 1_000;
/** The root sessions of the trees with an active run, or with a run that is next in its session. */
const ACTIVE_TREES = `
  WITH RECURSIVE up(session_id) AS (
    SELECT session_id FROM runs WHERE ${ACTIVE}
    UNION
    SELECT * FROM (
      SELECT session_id FROM runs INDEXED BY runs_at_head WHERE ${AT_HEAD} LIMIT ${MAX_PENDING_RUNS}
    ) AS heads
    UNION
    SELECT s.parent_session_id FROM up JOIN sessions AS s USING (session_id) WHERE s.parent_session_id IS NOT NULL
  )
  SELECT s.* FROM up JOIN sessions AS s USING (session_id) WHERE s.parent_session_id IS NULL`;
const LAST_EVENT = "SELECT seq, body FROM events WHERE session_id = ? ORDER BY seq DESC LIMIT 1";

/** Reads trees of sessions: a session with its descendants, and the sums over them. */
export class SessionTrees {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The sums over a session and its descendants; counts at most 10,000 sessions. */
  async rollUp(sessionId: string): Promise<RollUp> {
    const rows = await this.#store.all<Omit<RollUp, "by_status"> & { status: string }>(
      `${this.#store.dialect.tree}
         SELECT status, count(*) AS sessions, sum(total_cost_usd) AS total_cost_usd, sum(num_turns) AS num_turns,
           sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(run_ms) AS run_ms
         FROM tree JOIN sessions USING (session_id) GROUP BY status`,
      sessionId,
    );
    return rows.reduce<RollUp>(
      (sum, { status, ...row }) => added(sum, { ...row, by_status: { [status]: row.sessions } }),
      NOTHING,
    );
  }

  /**
   * A session and its descendants, parents before their children, each with its depth, its sums and its last event.
   * Refuses: unknown. `is_cut`: the tree has more than 10,000 sessions, and the deepest are left out.
   */
  async tree(sessionId: string): Promise<{ sessions: unknown[]; is_cut: boolean }> {
    const rows = await this.#store.all<SessionRow & { depth: number }>(
      `${this.#store.dialect.tree}
         SELECT s.*, depth FROM tree JOIN sessions AS s USING (session_id) ORDER BY depth, seq`,
      sessionId,
    );
    if (rows.length === 0) throw new Refusal("unknown", `Session not found: ${sessionId}`);
    const shown = rows.slice(0, MAX_TREE_SESSIONS);
    const sums = new Map<string, RollUp>();
    for (const row of shown.toReversed()) {
      const own = added(sums.get(row.session_id) ?? NOTHING, ownOf(row));
      sums.set(row.session_id, own);
      const parent = row.parent_session_id;
      if (parent !== null && row.depth > 0) sums.set(parent, added(sums.get(parent) ?? NOTHING, own));
    }
    const sessions: object[] = [];
    for (const { depth, ...row } of shown)
      sessions.push({ ...(await this.#shown(row)), depth, roll_up: sums.get(row.session_id) ?? NOTHING });
    return { sessions, is_cut: rows.length > shown.length };
  }

  /** A tree as a list shows it: the root session with the sums over the tree. */
  async summary(row: SessionRow): Promise<object> {
    return { ...(await this.#shown(row)), roll_up: await this.rollUp(row.session_id) };
  }

  /** A page of the trees with an open run. Leaves out some trees if more than 1,000 runs are pending. */
  active({ limit, order, after }: Page): Promise<SessionRow[]> {
    const from = after === null ? "" : `AND s.seq ${order === "desc" ? "<" : ">"} ?`;
    const sql = `${ACTIVE_TREES} ${from} ORDER BY s.seq ${order} LIMIT ?`;
    return this.#store.all<SessionRow>(sql, ...(after === null ? [] : [after]), limit);
  }

  /** The ids of a session and its descendants, parents first. Refuses: unknown. */
  async members(sessionId: string): Promise<string[]> {
    const rows = await this.#store.all<{ session_id: string }>(
      `${this.#store.dialect.tree} SELECT session_id FROM tree JOIN sessions USING (session_id)`,
      sessionId,
    );
    if (rows.length === 0) throw new Refusal("unknown", `Session not found: ${sessionId}`);
    return rows.map((row) => row.session_id);
  }

  async #shown(row: SessionRow): Promise<object> {
    const title = (await this.#store.get<{ title: string }>(TITLE, row.session_id))?.title ?? null;
    const last = await this.#store.get<EventRow>(LAST_EVENT, row.session_id);
    return { ...wireSession(row), title, last_event: last === null ? null : shownEvent(last) };
  }
}

/** Read here, not by the database: engines differ in the JSON that they read. */
function shownEvent({ seq, body }: EventRow): LastEvent {
  const { event_type = null, tool_name = null, timestamp = null } = JSON.parse(body) as Partial<LastEvent>;
  return { event_id: seq, event_type, tool_name, timestamp };
}

const NOTHING: RollUp = {
  sessions: 0,
  by_status: {},
  total_cost_usd: 0,
  num_turns: 0,
  input_tokens: 0,
  output_tokens: 0,
  run_ms: 0,
};

function ownOf({ status, total_cost_usd, num_turns, input_tokens, output_tokens, run_ms }: SessionRow): RollUp {
  return { sessions: 1, by_status: { [status]: 1 }, total_cost_usd, num_turns, input_tokens, output_tokens, run_ms };
}

function added(a: RollUp, b: RollUp): RollUp {
  const by_status: Record<string, number> = { ...a.by_status };
  for (const [status, count] of Object.entries(b.by_status)) by_status[status] = (by_status[status] ?? 0) + count;
  return {
    sessions: a.sessions + b.sessions,
    by_status,
    total_cost_usd: a.total_cost_usd + b.total_cost_usd,
    num_turns: a.num_turns + b.num_turns,
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    run_ms: a.run_ms + b.run_ms,
  };
}
