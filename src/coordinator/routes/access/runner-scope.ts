import type { Caller } from "../../store/caller.ts";
import { Refusal } from "../../store/refusal.ts";
import type { SessionRow } from "../../sessions/sessions.ts";
import type { Store } from "../../store/store.ts";

/** Deeper than any tree that a limit of the runners allows. */
const MAX_DEPTH = 1_000;

const EXECUTED = "SELECT 1 FROM runs INDEXED BY runs_by_session WHERE session_id = ? AND claimed_by = ? LIMIT 1";
const PARENT = "SELECT parent_session_id FROM sessions WHERE session_id = ?";

/**
 * What a token with the role `runner` may write: sessions that a runner of this token has executed, and their
 * descendants. Its agents start agents; it must not start a run elsewhere in its own name.
 */
export class RunnerScope {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Call with the parameters of a path. Reads and the runner protocol pass. Refuses: forbidden. */
  async requirePath(caller: Caller, route: string, params: Readonly<Record<string, string>>): Promise<void> {
    if (caller.role !== "runner" || /^GET | \/runner\//.test(route)) return;
    const { session_id, run_id, runner_id } = params;
    if (session_id !== undefined) await this.requireSession(caller, session_id);
    if (run_id !== undefined) {
      const run = await this.#store.get<{ session_id: string }>("SELECT session_id FROM runs WHERE run_id = ?", run_id);
      if (run !== null) await this.requireSession(caller, run.session_id);
    }
    if (runner_id === undefined) return;
    const runner = await this.#store.get<{ token_name: string | null }>(
      "SELECT token_name FROM runners WHERE runner_id = ?",
      runner_id,
    );
    if (runner !== null && runner.token_name !== caller.name)
      throw new Refusal("forbidden", `The runner ${runner_id} was registered with another token than ${caller.name}`);
  }

  /** Refuses, forbidden: neither the session nor one above it was executed by a runner of this token. */
  async requireSession({ name, role }: Caller, sessionId: string | null): Promise<void> {
    if (role !== "runner") return;
    let at = sessionId;
    for (let depth = 0; at !== null && depth < MAX_DEPTH; depth++) {
      if (name !== null && (await this.#store.get(EXECUTED, at, name)) !== null) return;
      at = (await this.#store.get<Pick<SessionRow, "parent_session_id">>(PARENT, at))?.parent_session_id ?? null;
    }
    throw new Refusal(
      "forbidden",
      `The token ${name} has the role runner: it may only write sessions that its runners executed, or below them`,
    );
  }
}
