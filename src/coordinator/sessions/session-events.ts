import { messageText, type SessionEvent } from "../../protocol/session.ts";
import type { Broadcast } from "./broadcast.ts";
import { Refusal } from "../store/refusal.ts";
import type { ListQuery } from "../store/lists.ts";
import type { Sessions } from "./sessions.ts";
import { isoTime, type Store } from "../store/store.ts";
import type { UsageLedger } from "./usage-ledger.ts";

export interface EventRow {
  readonly seq: number;
  readonly body: string;
}

/** Events that executors send about their sessions. The last assistant message is the session's result. */
export class SessionEvents {
  readonly #store: Store;
  readonly #sessions: Sessions;
  readonly #usage: UsageLedger;
  readonly #broadcast: Broadcast;

  constructor(store: Store, sessions: Sessions, usage: UsageLedger, broadcast: Broadcast) {
    this.#store = store;
    this.#sessions = sessions;
    this.#usage = usage;
    this.#broadcast = broadcast;
  }

  /**
   * Stores an event. `session_stop` finishes the session, but delivers no callback: only the run's report does.
   * Refuses: unknown session; malformed if the event names another session.
   */
  add(sessionId: string, event: SessionEvent): void {
    if (event.session_id !== sessionId)
      throw new Refusal("malformed", "The event's session_id differs from the path's");
    this.#store.write(() => {
      this.#sessions.get(sessionId);
      const stored = { ...event, timestamp: event.timestamp ?? isoTime() };
      const isAnswer = event.event_type === "message" && event.role === "assistant";
      const { lastInsertRowid } = this.#store.db
        .query("INSERT INTO events (session_id, is_answer, body) VALUES (?, ?, ?)")
        .run(sessionId, isAnswer ? 1 : 0, JSON.stringify(stored));
      const data = { ...stored, event_id: Number(lastInsertRowid) };
      this.#store.afterCommit(() => this.#broadcast.send("event", sessionId, { data }));
      this.#usage.note(event);
      if (event.event_type === "session_stop") this.#sessions.update(sessionId, { status: "finished" });
    });
  }

  /** The text of the last assistant message after the event `since`, or null. */
  answer(sessionId: string, since = 0): string | null {
    const row = this.#store.db
      .query<EventRow, [string, number]>(
        "SELECT seq, body FROM events WHERE session_id = ? AND is_answer = 1 AND seq > ? ORDER BY seq DESC LIMIT 1",
      )
      .get(sessionId, since);
    return row === null ? null : messageText(JSON.parse(row.body) as SessionEvent);
  }
}

export function eventListQuery(sessionId: string): ListQuery {
  return { table: "events", index: "events_by_session", where: [["session_id = ?", sessionId]] };
}

/** An event as the executor sent it, plus a unique number. */
export function wireEvent({ seq, body }: EventRow): Record<string, unknown> {
  return { ...(JSON.parse(body) as SessionEvent), event_id: seq };
}
