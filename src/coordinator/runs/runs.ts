import { randomHex12 } from "../../protocol/identifiers.ts";
import type { CreateRun } from "../../protocol/run.ts";
import { type TraceFields, traceFields } from "../../protocol/trace-context.ts";
import type { Agents } from "../agents/agents.ts";
import type { Deadlines } from "../store/deadlines.ts";
import { mergeDemands } from "../runners/demands.ts";
import type { Caller } from "../store/caller.ts";
import { Refusal, invalid } from "../store/refusal.ts";
import type { RunQueue } from "./run-queue.ts";
import { askedDemandsOf, type RunRow } from "../store/run-row.ts";
import { ACTIVE, OPEN } from "../store/schema.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { isoTime, steadyMs, steadyTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

export interface RunsParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly agents: Pick<Agents, "demandsOf">;
  readonly queue: RunQueue;
  readonly deadlines: Deadlines;
  readonly noMatchTimeoutMs: number;
}

type SessionFields = {
  readonly session_id: string;
  readonly agent_name: string | null;
  readonly project_dir: string | null;
};

/** Creates and finds runs. `run-transitions.ts` changes them, `claims.ts` gives them to runners. */
export class Runs {
  readonly #parts: RunsParts;

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  find(runId: string): Promise<RunRow | null> {
    return this.#parts.store.get<RunRow>("SELECT * FROM runs WHERE run_id = ?", runId);
  }

  /** Refuses: unknown. */
  async get(runId: string): Promise<RunRow> {
    const row = await this.find(runId);
    if (!row) throw new Refusal("unknown", `Run not found: ${runId}`);
    return row;
  }

  /** Creates a pending run, and its session if the run starts one. Refuses: unknown, conflict, invalid. */
  /** `by`: who asked for it; null for the coordinator itself. */
  create(body: CreateRun, by: Caller | null): Promise<RunRow> {
    const { store } = this.#parts;
    return store.write(async () => {
      if (body.parent_session_id != null) await store.lockTree(body.parent_session_id);
      if (body.type === "resume_session" && body.session_id != null) await store.lockTree(body.session_id);
      const session = body.type === "start_session" ? await this.#startSession(body) : await this.#resumedSession(body);
      return this.#insert(
        body,
        {
          session_id: session.session_id,
          agent_name: body.agent_name ?? session.agent_name,
          project_dir: body.project_dir ?? session.project_dir,
        },
        by,
      );
    });
  }

  /** A session's open runs in order of creation, without runs scheduled for later. */
  async openOf(sessionId: string): Promise<RunRow[]> {
    return (await this.allOpenOf(sessionId)).filter((run) => run.waiting_for !== "time");
  }

  /** All open runs of a session in order of creation; at most one is not pending. */
  allOpenOf(sessionId: string): Promise<RunRow[]> {
    return this.#parts.store.all<RunRow>(
      `SELECT * FROM runs INDEXED BY runs_open_by_session WHERE session_id = ? AND ${OPEN} ORDER BY seq`,
      sessionId,
    );
  }

  /** What a callback's run takes from the session's newest run: its trace, priority and demands. */
  async continued(sessionId: string): Promise<TraceFields & Pick<CreateRun, "priority" | "additional_demands">> {
    const newest = await this.#parts.store.get<
      Pick<RunRow, "traceparent" | "tracestate" | "priority" | "asked_demands">
    >(
      `SELECT traceparent, tracestate, priority, asked_demands FROM runs
         WHERE session_id = ? ORDER BY seq DESC LIMIT 1`,
      sessionId,
    );
    if (newest === null) return {};
    return { ...traceFields(newest), priority: newest.priority, additional_demands: askedDemandsOf(newest) };
  }

  /** The runs that a runner has claimed and that have not ended. */
  activeOf(runnerId: string): Promise<RunRow[]> {
    return this.#parts.store.all<RunRow>(
      `SELECT * FROM runs INDEXED BY runs_active_by_runner WHERE runner_id = ? AND ${ACTIVE} ORDER BY seq`,
      runnerId,
    );
  }

  /** The ids of the runs that the runner must stop. Few runs are stopping at a time: the index by status is fastest. */
  async stoppingOf(runnerId: string): Promise<string[]> {
    return (
      await this.#parts.store.all<{ run_id: string }>(
        "SELECT run_id FROM runs INDEXED BY runs_by_status WHERE status = 'stopping' AND runner_id = ? ORDER BY seq",
        runnerId,
      )
    ).map((row) => row.run_id);
  }

  /** The number of runs in `activeOf`. */
  async activeCount(runnerId: string): Promise<number> {
    const row = await this.#parts.store.get<{ n: number }>(
      `SELECT count(*) AS n FROM runs INDEXED BY runs_active_by_runner WHERE runner_id = ? AND ${ACTIVE}`,
      runnerId,
    );
    return row?.n ?? 0;
  }

  /** The number of runs that the runner has started and not ended. */
  async startedCount(runnerId: string): Promise<number> {
    return (await this.activeOf(runnerId)).filter((run) => run.status !== "claimed").length;
  }

  /** The ids of the runners, registered or not, that have started runs and not ended them. */
  async runnersOfStarted(): Promise<string[]> {
    return (
      await this.#parts.store.all<{
        runner_id: string;
      }>(`SELECT DISTINCT runner_id FROM runs INDEXED BY runs_active_by_runner
         WHERE ${ACTIVE} AND status <> 'claimed' AND runner_id IS NOT NULL`)
    ).map((row) => row.runner_id);
  }

  #startSession(body: CreateRun): Promise<SessionFields> {
    const { agent_name, project_dir, parent_session_id, execution_mode } = body;
    const session_id = body.session_id ?? `ses_${randomHex12()}`;
    return this.#parts.sessions.create({ session_id, agent_name, project_dir, parent_session_id, execution_mode });
  }

  async #resumedSession(body: CreateRun): Promise<SessionFields> {
    await this.#parts.sessions.requireParent(body.parent_session_id);
    if (!body.session_id)
      throw invalid(["body", "session_id"], "session_id is required to resume a session", "missing");
    return this.#parts.sessions.get(body.session_id);
  }

  async #insert(body: CreateRun, session: SessionFields, by: Caller | null): Promise<RunRow> {
    const { store, agents, queue, deadlines, noMatchTimeoutMs } = this.#parts;
    const asked = mergeDemands(null, body.additional_demands);
    const demands = mergeDemands(await agents.demandsOf(session.agent_name), body.additional_demands);
    const notBefore = startOf(body);
    const expiresAt = body.ttl_seconds == null ? null : expiryOf(notBefore, body.ttl_seconds * 1_000);
    const trace = traceFields(body);
    const waitingFor = await queue.placeOf(session.session_id, notBefore);
    const run = await store.get<RunRow>(
      `INSERT INTO runs (run_id, type, session_id, agent_name, prompt, project_dir, parent_session_id,
           execution_mode, demands, status, created_at, timeout_at, priority, not_before, expires_at, max_attempts,
           retry_delay_seconds, traceparent, tracestate, asked_demands, parameters, created_by, created_from,
           waiting_for)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *`,
      `run_${randomHex12()}`,
      body.type,
      session.session_id,
      session.agent_name,
      body.prompt,
      session.project_dir,
      body.parent_session_id ?? null,
      body.execution_mode,
      demands === null ? null : JSON.stringify(demands),
      isoTime(),
      demands === null ? null : steadyTime(noMatchTimeoutMs),
      body.priority ?? 0,
      notBefore,
      expiresAt,
      body.max_attempts ?? 1,
      body.retry_delay_seconds ?? null,
      trace.traceparent ?? null,
      trace.tracestate ?? null,
      asked === null ? null : JSON.stringify(asked),
      body.parameters == null ? null : JSON.stringify(body.parameters),
      by?.name ?? null,
      by?.address ?? null,
      waitingFor,
    );
    if (run === null) throw new Error("INSERT returned no row");
    if (expiresAt !== null) deadlines.expect(Date.parse(expiresAt));
    await queue.entered(run);
    return run;
  }
}

/** The time before which no runner gets the run. */
function startOf({ not_before, delay_seconds }: CreateRun): string | null {
  if (delay_seconds != null) return isoTime(delay_seconds * 1_000);
  return not_before == null ? null : new Date(not_before).toISOString();
}

/** The time to live begins when the run may start. */
function expiryOf(notBefore: string | null, ttlMs: number): string {
  return new Date(Math.max(steadyMs(), notBefore === null ? 0 : Date.parse(notBefore)) + ttlMs).toISOString();
}
