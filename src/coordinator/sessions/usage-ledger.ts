import { type SessionEvent, type Usage, usageOf } from "../../protocol/session.ts";
import type { RunRow } from "../store/run-row.ts";
import { AT_HEAD } from "../store/schema.ts";
import type { Sessions } from "./sessions.ts";
import type { Store } from "../store/store.ts";

type UsageRow = Pick<RunRow, "seq" | "waiting_for" | keyof Usage>;

/**
 * Keeps the usage of runs and sessions. An executor sends the totals of its run so far, so a later event replaces an
 * earlier one. A session's sums cover all its runs, including runs that housekeeping has deleted.
 */
export class UsageLedger {
  readonly #store: Store;
  readonly #sessions: Sessions;

  constructor(store: Store, sessions: Sessions) {
    this.#store = store;
    this.#sessions = sessions;
  }

  /** Call in the transaction that stores the event. */
  async note(event: SessionEvent): Promise<void> {
    const usage = usageOf(event);
    if (usage === null) return;
    const head = await this.#store.get<UsageRow>(
      `SELECT seq, waiting_for, total_cost_usd, num_turns, input_tokens, output_tokens
         FROM runs WHERE session_id = ? AND ${AT_HEAD}`,
      event.session_id,
    );
    // Usage that arrives while no run is active belongs to no run: count it for the session alone.
    const run = head === null || head.waiting_for !== null ? null : head;
    const names = (Object.keys(usage) as (keyof Usage)[]).filter((name) => usage[name] !== null);
    if (run !== null) {
      const columns = names.map((name) => `${name} = ?`).join(", ");
      await this.#store.run(`UPDATE runs SET ${columns} WHERE seq = ?`, ...names.map((name) => usage[name]), run.seq);
    }
    const added = names.map((name) => [name, (usage[name] ?? 0) - (run?.[name] ?? 0)]);
    await this.#sessions.update(
      event.session_id,
      {},
      Object.fromEntries(added) as Partial<Record<keyof Usage, number>>,
    );
  }
}
