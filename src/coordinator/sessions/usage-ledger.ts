import { type SessionEvent, type Usage, usageOf } from "../../protocol/session.ts";
import type { RunRow } from "../store/run-row.ts";
import { AT_HEAD } from "../store/schema.ts";
import type { Sessions } from "./sessions.ts";
import type { Store } from "../store/store.ts";

type UsageRow = Pick<RunRow, "seq" | "waiting_for" | keyof Usage>;

/**
 * What runs and sessions have cost, as their executors say. An executor tells the totals of its run so far, so that a later event of
 * the run takes the place of an earlier one; a session's sums are those of all its runs, also of runs that are no longer kept.
 */
export class UsageLedger {
  readonly #store: Store;
  readonly #sessions: Sessions;

  constructor(store: Store, sessions: Sessions) {
    this.#store = store;
    this.#sessions = sessions;
  }

  /** To be called in the transaction that stores the event. */
  note(event: SessionEvent): void {
    const told = usageOf(event);
    if (told === null) return;
    const head = this.#store.db
      .query<UsageRow, [string]>(
        `SELECT seq, waiting_for, total_cost_usd, num_turns, input_tokens, output_tokens FROM runs WHERE session_id = ? AND ${AT_HEAD}`,
      )
      .get(event.session_id);
    // Told while no run is under way: nobody knows of what, so it counts for the session alone.
    const run = head === null || head.waiting_for !== null ? null : head;
    const names = (Object.keys(told) as (keyof Usage)[]).filter((name) => told[name] !== null);
    if (run !== null) {
      const columns = names.map((name) => `${name} = ?`).join(", ");
      this.#store.db.query(`UPDATE runs SET ${columns} WHERE seq = ?`).run(...names.map((name) => told[name]), run.seq);
    }
    const added = names.map((name) => [name, (told[name] ?? 0) - (run?.[name] ?? 0)]);
    this.#sessions.update(event.session_id, {}, Object.fromEntries(added) as Partial<Record<keyof Usage, number>>);
  }
}
