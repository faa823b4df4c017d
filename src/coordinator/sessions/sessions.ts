import type { Bind, CreateSession, Metadata } from "../../protocol/session.ts";
import type { Broadcast } from "./broadcast.ts";
import { Refusal } from "../store/refusal.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

export interface SessionRow {
  readonly seq: number;
  readonly session_id: string;
  readonly status: string;
  readonly created_at: string;
  readonly project_dir: string | null;
  readonly agent_name: string | null;
  readonly last_resumed_at: string | null;
  readonly parent_session_id: string | null;
  readonly executor_session_id: string | null;
  readonly executor_type: string | null;
  readonly hostname: string | null;
  readonly execution_mode: string | null;
  readonly total_cost_usd: number;
  readonly num_turns: number;
  /** Includes tokens read from and written to a cache. */
  readonly input_tokens: number;
  readonly output_tokens: number;
  /** Total run time of the session's runs. */
  readonly run_ms: number;
  /** The place in the tree, which triggers keep (`schema-trees.ts`). */
  readonly tree_id: number;
  readonly tree_depth: number;
  readonly children_started: number;
}
type Sums = Pick<SessionRow, "total_cost_usd" | "num_turns" | "input_tokens" | "output_tokens" | "run_ms">;
type Place = "tree_id" | "tree_depth" | "children_started";
type Changes = Partial<Omit<SessionRow, "seq" | "session_id" | "created_at" | keyof Sums | Place>>;

/** Stores sessions. Broadcasts every change after its commit. */
export class Sessions {
  readonly #store: Store;
  readonly #broadcast: Broadcast;

  constructor(store: Store, broadcast: Broadcast) {
    this.#store = store;
    this.#broadcast = broadcast;
  }

  find(sessionId: string): Promise<SessionRow | null> {
    return this.#store.get<SessionRow>("SELECT * FROM sessions WHERE session_id = ?", sessionId);
  }

  /** Refuses: unknown. */
  async get(sessionId: string): Promise<SessionRow> {
    const row = await this.find(sessionId);
    if (!row) throw new Refusal("unknown", `Session not found: ${sessionId}`);
    return row;
  }

  /** Creates a session with status `pending`. Refuses: conflict if the id is taken; unknown parent. */
  create(fields: CreateSession): Promise<SessionRow> {
    return this.#store.write(async () => {
      await this.requireParent(fields.parent_session_id);
      const row = await this.#store.get<SessionRow>(
        `INSERT INTO sessions
             (session_id, status, created_at, project_dir, agent_name, parent_session_id, execution_mode)
           VALUES (?, 'pending', ?, ?, ?, ?, ?) ON CONFLICT (session_id) DO NOTHING RETURNING *`,
        fields.session_id,
        isoTime(),
        fields.project_dir ?? null,
        fields.agent_name ?? null,
        fields.parent_session_id ?? null,
        fields.execution_mode ?? "sync",
      );
      if (row === null) throw new Refusal("conflict", `Session already exists: ${fields.session_id}`);
      this.#announce("session_created", fields.session_id);
      return row;
    });
  }

  async requireParent(parentId: string | null | undefined): Promise<void> {
    if (parentId && !(await this.find(parentId))) throw new Refusal("unknown", `Parent session not found: ${parentId}`);
  }

  /** Sets the given columns and adds to the given sums. Ignores an unknown session: it may be deleted already. */
  async update(sessionId: string, changes: Changes, added: Partial<Sums> = {}): Promise<void> {
    const given = Object.entries(changes).filter(([, value]) => value !== undefined);
    const sums = Object.entries(added).filter(([, value]) => value !== 0);
    if (given.length + sums.length === 0) return;
    await this.#store.write(async () => {
      const columns = [
        ...given.map(([column]) => `${column} = ?`),
        ...sums.map(([column]) => `${column} = ${column} + ?`),
      ].join(", ");
      const values = [...given, ...sums].map(([, value]) => value);
      const { changes: hit } = await this.#store.run(
        `UPDATE sessions SET ${columns} WHERE session_id = ?`,
        ...values,
        sessionId,
      );
      if (hit > 0) this.#announce("session_updated", sessionId);
    });
  }

  /** Records the executor of a session. The session is `running` from now on, unless it is `stopping`. */
  bind(sessionId: string, bind: Bind): Promise<SessionRow> {
    return this.#store.write(async () => {
      await this.#store.lockTree(sessionId);
      const { status } = await this.get(sessionId);
      await this.update(sessionId, {
        ...affinityChanges(bind),
        ...(bind.project_dir ? { project_dir: bind.project_dir } : {}),
        status: status === "stopping" ? status : "running",
      });
      return this.get(sessionId);
    });
  }

  patch(sessionId: string, metadata: Metadata): Promise<SessionRow> {
    return this.#store.write(async () => {
      await this.#store.lockTree(sessionId);
      await this.get(sessionId);
      const { project_dir, agent_name, last_resumed_at } = metadata;
      const plain = Object.entries({ project_dir, agent_name, last_resumed_at }).filter(
        ([, value]) => value !== undefined && value !== null,
      );
      await this.update(sessionId, { ...affinityChanges(metadata), ...(Object.fromEntries(plain) as Changes) });
      return this.get(sessionId);
    });
  }

  /**
   * Sets the parent, which gets the callbacks of the session. Keeps the old parent if the new one is a descendant: two
   * sessions that resume each other would otherwise wake each other for ever.
   */
  async setParent(sessionId: string, parentId: string, executionMode: string): Promise<void> {
    for (let id: string | null | undefined = parentId; id; id = (await this.find(id))?.parent_session_id) {
      if (id === sessionId) return;
    }
    await this.update(sessionId, { parent_session_id: parentId, execution_mode: executionMode });
  }

  /** Deletes the session with its events and its undelivered callbacks. Returns the number of the events. */
  delete(sessionId: string): Promise<number> {
    return this.#store.write(async () => {
      await this.get(sessionId);
      const { count } = (await this.#store.get<{ count: number }>(
        "SELECT count(*) AS count FROM events WHERE session_id = ?",
        sessionId,
      )) ?? { count: 0 };
      for (const statement of [
        "DELETE FROM events WHERE session_id = ?",
        "DELETE FROM callbacks WHERE parent_session_id = ? AND delivered_in IS NULL",
        "DELETE FROM sessions WHERE session_id = ?",
      ]) {
        await this.#store.run(statement, sessionId);
      }
      this.#store.afterCommit(() => this.#broadcast.send("session_deleted", sessionId, { session_id: sessionId }));
      return count;
    });
  }

  /** The newest sessions, newest first. */
  newest(limit: number): Promise<SessionRow[]> {
    return this.#store.all<SessionRow>("SELECT * FROM sessions ORDER BY seq DESC LIMIT ?", limit);
  }

  #announce(type: "session_created" | "session_updated", sessionId: string): void {
    this.#store.afterCommit(async () => {
      const row = await this.find(sessionId);
      if (row) this.#broadcast.send(type, sessionId, { session: wireSession(row) });
    });
  }
}

/** A session as the API shows it (`docs/protocol.md`, section 1b). */
export function wireSession(row: SessionRow): Omit<SessionRow, "seq" | Place> {
  const { seq: _seq, tree_id: _tree, tree_depth: _depth, children_started: _children, ...session } = row;
  return session;
}

/** The first generation's `executor_type` and the second generation's `executor_profile` mean the same. */
function affinityChanges(fields: Metadata | Bind): Changes {
  const executorType = fields.executor_type ?? fields.executor_profile;
  return {
    ...(fields.executor_session_id ? { executor_session_id: fields.executor_session_id } : {}),
    ...(fields.hostname ? { hostname: fields.hostname } : {}),
    ...(executorType ? { executor_type: executorType } : {}),
  };
}
