import { randomHex12 } from "../protocol/identifiers.ts";
import type { CreateRun, Demands, RunStatus } from "../protocol/run.ts";
import type { Agents } from "./agents.ts";
import { mergeDemands } from "./demands.ts";
import { HttpError, invalid } from "./http.ts";
import type { PollWaiters } from "./poll-waiters.ts";
import { ACTIVE, OPEN } from "./schema.ts";
import type { Sessions } from "./sessions.ts";
import { isoTime, type Store } from "./store.ts";

export interface RunRow {
  readonly seq: number;
  readonly run_id: string;
  readonly type: string;
  readonly session_id: string;
  readonly agent_name: string | null;
  readonly prompt: string;
  readonly project_dir: string | null;
  readonly parent_session_id: string | null;
  readonly execution_mode: string;
  /** JSON, or null. */
  readonly demands: string | null;
  readonly status: RunStatus;
  readonly runner_id: string | null;
  readonly error: string | null;
  readonly created_at: string;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  readonly timeout_at: string | null;
  /** Until when a claim holds without a `started`. */
  readonly lease_until: string | null;
  /** What the session's status was before the claim, for a claim that is lost. */
  readonly session_status_before: string | null;
  /** The last event before the claim: what came later is this run's. */
  readonly events_before: number;
}

export interface RunFilter {
  readonly statuses?: readonly RunStatus[];
  readonly runnerId?: string;
  readonly sessionId?: string;
}

const PAGE = 500;
const ACTIVE_STATUSES: ReadonlySet<string> = new Set(["claimed", "running", "stopping"]);
const OPEN_STATUSES: ReadonlySet<string> = new Set(["pending", ...ACTIVE_STATUSES]);

/** Creates runs and finds them. How they change is in `run-transitions.ts`, who gets them in `claims.ts`. */
export class Runs {
  readonly #store: Store;
  readonly #sessions: Sessions;
  readonly #agents: Agents;
  readonly #waiters: PollWaiters;
  readonly #noMatchTimeoutMs: number;

  constructor(store: Store, sessions: Sessions, agents: Agents, waiters: PollWaiters, noMatchTimeoutMs: number) {
    this.#store = store;
    this.#sessions = sessions;
    this.#agents = agents;
    this.#waiters = waiters;
    this.#noMatchTimeoutMs = noMatchTimeoutMs;
  }

  find(runId: string): RunRow | null {
    return this.#store.db.query<RunRow, [string]>("SELECT * FROM runs WHERE run_id = ?").get(runId);
  }

  /** 404 if there is none. */
  get(runId: string): RunRow {
    const row = this.find(runId);
    if (!row) throw new HttpError(404, `Run not found: ${runId}`);
    return row;
  }

  /** A new run, pending, with its session where it starts one. 404, 409, 422; whoever waits for such a run is woken. */
  create(body: CreateRun): RunRow {
    return this.#store.write(() => {
      this.#sessions.requireParent(body.parent_session_id);
      const session = body.type === "start_session" ? this.#startSession(body) : this.#resumedSession(body);
      return this.#insert({
        ...body,
        session_id: session.session_id,
        agent_name: body.agent_name ?? session.agent_name,
        project_dir: body.project_dir ?? session.project_dir,
      });
    });
  }

  /** Says that the session's next pending run may be claimed now, if there is one. */
  offerNext(sessionId: string): void {
    this.#store.afterCommit(() => {
      const next = this.openOf(sessionId)[0];
      if (next?.status === "pending") this.#waiters.offer(demandsOf(next));
    });
  }

  /** A run of the session has ended: the next one's time to find a runner begins now. */
  takeTurn(sessionId: string): void {
    const next = this.openOf(sessionId)[0];
    if (next?.status !== "pending") return;
    this.#store.db
      .query("UPDATE runs SET timeout_at = ? WHERE seq = ? AND timeout_at IS NOT NULL")
      .run(isoTime(this.#noMatchTimeoutMs), next.seq);
    this.offerNext(sessionId);
  }

  /** A session's runs that have not ended, in order of creation; at most one of them is not pending. */
  openOf(sessionId: string): RunRow[] {
    return this.#store.db
      .query<RunRow, [string]>(`SELECT * FROM runs INDEXED BY runs_open_by_session WHERE session_id = ? AND ${OPEN} ORDER BY seq`)
      .all(sessionId);
  }

  /** What a runner has been given and has not ended. */
  activeOf(runnerId: string): RunRow[] {
    return this.#store.db
      .query<RunRow, [string]>(`SELECT * FROM runs WHERE runner_id = ? AND ${ACTIVE} ORDER BY seq`)
      .all(runnerId);
  }

  /** The newest `limit` runs that pass the filter, in order of creation. */
  newest(filter: RunFilter, limit: number): unknown[] {
    const { where, values } = condition(filter);
    const rows = this.#store.db
      .query<RunRow, (string | number)[]>(`SELECT * FROM runs WHERE ${where} ORDER BY seq DESC LIMIT ?`)
      .all(...values, limit);
    return rows.reverse().map(wireRun);
  }

  /** All runs that pass the filter in order of creation, a page at a time. */
  *pages(filter: RunFilter): Generator<unknown[]> {
    const { where, values } = condition(filter);
    const query = `SELECT * FROM runs WHERE ${where} AND seq > ? ORDER BY seq LIMIT ${PAGE}`;
    for (let after = 0; ; ) {
      const rows = this.#store.db.query<RunRow, (string | number)[]>(query).all(...values, after);
      const last = rows.at(-1);
      if (!last) return;
      yield rows.map(wireRun);
      after = last.seq;
    }
  }

  #startSession(body: CreateRun): { session_id: string; agent_name: string | null; project_dir: string | null } {
    const { type: _type, prompt: _prompt, additional_demands: _demands, ...fields } = body;
    return this.#sessions.create({ ...fields, session_id: body.session_id ?? `ses_${randomHex12()}` });
  }

  #resumedSession(body: CreateRun): { session_id: string; agent_name: string | null; project_dir: string | null } {
    if (!body.session_id) throw invalid(["body", "session_id"], "session_id is required to resume a session", "missing");
    return this.#sessions.get(body.session_id);
  }

  #insert(run: CreateRun & { session_id: string; agent_name: string | null; project_dir: string | null }): RunRow {
    const demands = mergeDemands(this.#agents.demandsOf(run.agent_name), run.additional_demands);
    const runId = `run_${randomHex12()}`;
    this.#store.db
      .query(
        `INSERT INTO runs (run_id, type, session_id, agent_name, prompt, project_dir, parent_session_id, execution_mode,
           demands, status, created_at, timeout_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)`,
      )
      .run(
        runId,
        run.type,
        run.session_id,
        run.agent_name,
        run.prompt,
        run.project_dir,
        run.parent_session_id ?? null,
        run.execution_mode,
        demands === null ? null : JSON.stringify(demands),
        isoTime(),
        demands === null ? null : isoTime(this.#noMatchTimeoutMs),
      );
    this.offerNext(run.session_id);
    return this.get(runId);
  }
}

export function demandsOf(run: RunRow): Demands | null {
  return run.demands === null ? null : (JSON.parse(run.demands) as Demands);
}

/** A run as the API shows it (protocol, section 3), every key always present. */
export function wireRun(run: RunRow): Record<string, unknown> {
  const { seq: _seq, lease_until: _lease, session_status_before: _before, events_before: _events, ...shown } = run;
  return { ...shown, demands: demandsOf(run) };
}

function condition(filter: RunFilter): { where: string; values: string[] } {
  const terms = ["TRUE"];
  const values: string[] = [];
  if (filter.sessionId !== undefined) {
    terms.push("session_id = ?");
    values.push(filter.sessionId);
  }
  if (filter.runnerId !== undefined) {
    terms.push("runner_id = ?");
    values.push(filter.runnerId);
  }
  if (filter.statuses) {
    terms.push(`status IN (${filter.statuses.map(() => "?").join(",")})`);
    values.push(...filter.statuses);
    // Said again in the words of the partial indexes, which SQLite would not use otherwise.
    if (filter.statuses.every((status) => status === "pending")) terms.push("status = 'pending'");
    else if (filter.statuses.every((status) => ACTIVE_STATUSES.has(status))) terms.push(ACTIVE, OPEN);
    else if (filter.statuses.every((status) => OPEN_STATUSES.has(status))) terms.push(OPEN);
  }
  return { where: terms.join(" AND "), values };
}
