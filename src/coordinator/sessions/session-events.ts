import { messageText, type SessionEvent } from "../../protocol/session.ts";
import type { Broadcast } from "./broadcast.ts";
import { boundedJson } from "./cut-event.ts";
import type { EventBudget } from "./event-budget.ts";
import { Refusal } from "../store/refusal.ts";
import type { ListQuery } from "../store/lists.ts";
import type { Sessions } from "./sessions.ts";
import type { RunRow } from "../store/run-row.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import type { UsageLedger } from "./usage-ledger.ts";

export interface EventRow {
  readonly seq: number;
  readonly body: string;
}

/** An executor names its retry time shortly before its end. */
const LAST_EVENTS = 50;

type Turn = Pick<RunRow, "seq" | "session_id" | "claimed_at" | "events_before">;

/** Events that executors send about their sessions. The last assistant message is the session's result. */
export class SessionEvents {
  readonly #store: Store;
  readonly #sessions: Sessions;
  readonly #usage: UsageLedger;
  readonly #broadcast: Broadcast;
  readonly #budget: EventBudget;

  constructor(store: Store, sessions: Sessions, usage: UsageLedger, broadcast: Broadcast, budget: EventBudget) {
    this.#store = store;
    this.#sessions = sessions;
    this.#usage = usage;
    this.#broadcast = broadcast;
    this.#budget = budget;
  }

  /**
   * Stores an event. `session_stop` finishes the session, but delivers no callback: only the run's report does.
   * An event beyond the limits of its run is dropped, but has its effect. Refuses: unknown session; malformed if the
   * event names another session.
   */
  add(sessionId: string, event: SessionEvent): Promise<{ isDropped: boolean }> {
    if (event.session_id !== sessionId)
      throw new Refusal("malformed", "The event's session_id differs from the path's");
    return this.#store.write(async () => {
      // The events of a session get their numbers in the order of the commits.
      await this.#store.lockTree(sessionId);
      await this.#sessions.get(sessionId);
      const body = boundedJson({ ...event, timestamp: event.timestamp ?? isoTime() });
      const admission = await this.#budget.admit(event, Buffer.byteLength(body));
      // As in the first generation, listeners learn the session's new status before the event.
      if (event.event_type === "session_stop") await this.#sessions.update(sessionId, { status: "finished" });
      if (admission.kind === "stored") await this.#insert(event, body);
      if (admission.kind === "first") await this.#tellOfDrops(sessionId, admission.reason);
      await this.#usage.note(event);
      return { isDropped: admission.kind !== "stored" };
    });
  }

  async #insert({ session_id, event_type, role }: SessionEvent, body: string): Promise<void> {
    const isAnswer = event_type === "message" && role === "assistant";
    const row = await this.#store.get<{ seq: number }>(
      "INSERT INTO events (session_id, is_answer, body) VALUES (?, ?, ?) RETURNING seq",
      session_id,
      isAnswer ? 1 : 0,
      body,
    );
    // The text itself, so that a large event is not encoded again.
    const data = `{"data":${body.slice(0, -1)},"event_id":${row?.seq}}}`;
    this.#store.afterCommit(() => this.#broadcast.sendJson("event", session_id, data));
  }

  async #tellOfDrops(sessionId: string, reason: string): Promise<void> {
    const told = { event_type: "events_dropped", session_id: sessionId, timestamp: isoTime(), reason };
    await this.#insert(told, JSON.stringify(told));
  }

  /** The text of the session's last assistant message, of whatever run, or null. */
  lastAnswer(sessionId: string): Promise<string | null> {
    return this.#answer(sessionId, 0, Number.MAX_SAFE_INTEGER);
  }

  /** The data of the session's last `result`, if that is among its last events; null without any. */
  async lastData(sessionId: string): Promise<object | null> {
    const likely = await this.#store.all<Pick<EventRow, "body">>(
      `SELECT body FROM (SELECT seq, body FROM events WHERE session_id = ? ORDER BY seq DESC LIMIT ?) AS latest
         WHERE body LIKE '%"event_type":"result"%' ORDER BY seq DESC`,
      sessionId,
      LAST_EVENTS,
    );
    const events = likely.map(({ body }) => JSON.parse(body) as { event_type: string; result_data?: unknown });
    const data = events.find(({ event_type }) => event_type === "result")?.result_data;
    return typeof data === "object" ? data : null;
  }

  /** The text of the run's last assistant message, or null: the events between its claim and the session's next one. */
  async answerOf({ seq, session_id, claimed_at, events_before }: Turn): Promise<string | null> {
    if (claimed_at === null) return null;
    // By events, not by the clock, which may have been set back between two claims.
    const next = await this.#store.get<{ events_before: number | null }>(
      `SELECT min(events_before) AS events_before FROM runs INDEXED BY runs_by_session
         WHERE session_id = ?1 AND claimed_at IS NOT NULL AND (events_before > ?2
           OR events_before = ?2 AND (claimed_at > ?3 OR claimed_at = ?3 AND seq > ?4))`,
      session_id,
      events_before,
      claimed_at,
      seq,
    );
    return this.#answer(session_id, events_before, next?.events_before ?? Number.MAX_SAFE_INTEGER);
  }

  /** `retry_at` of the run's last event with one, in ms since 1970; null if none of its last events has a valid one. */
  async retryAtOf({ session_id, events_before }: Turn): Promise<number | null> {
    const rows = await this.#store.all<Pick<EventRow, "body">>(
      "SELECT body FROM events WHERE session_id = ? AND seq > ? ORDER BY seq DESC LIMIT ?",
      session_id,
      events_before,
      LAST_EVENTS,
    );
    for (const { body } of rows) {
      const { retry_at } = JSON.parse(body) as Record<string, unknown>;
      const retryAt = typeof retry_at === "string" ? Date.parse(retry_at) : Number.NaN;
      if (!Number.isNaN(retryAt)) return retryAt;
    }
    return null;
  }

  async #answer(sessionId: string, after: number, upTo: number): Promise<string | null> {
    const row = await this.#store.get<EventRow>(
      `SELECT seq, body FROM events WHERE session_id = ? AND is_answer = 1 AND seq > ? AND seq <= ?
         ORDER BY seq DESC LIMIT 1`,
      sessionId,
      after,
      upTo,
    );
    return row === null ? null : messageText(JSON.parse(row.body) as SessionEvent);
  }
}

export function eventListQuery(sessionId: string): ListQuery {
  return { table: "events", index: "events_by_session", where: [["session_id = ?", sessionId]] };
}

/** An event as the executor sent it, plus a unique number, which is `id` in the first generation. */
export function wireEvent({ seq, body }: EventRow): Record<string, unknown> {
  return { id: seq, ...(JSON.parse(body) as SessionEvent), event_id: seq };
}
