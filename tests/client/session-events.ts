import type { SessionEvent } from "../../src/protocol/session.ts";

const session_id = "ses_1";

export function said(text: string, role = "assistant"): SessionEvent {
  return { event_type: "message", session_id, role, content: [{ type: "text", text }] };
}

/** The event that ends a completed run, sent at second `at`. */
export function stop(at: number, event_type = "session_stop"): SessionEvent {
  return { event_type, session_id, timestamp: new Date(at * 1000).toISOString(), exit_code: 0, reason: "completed" };
}

export function resultEvent(result: Pick<SessionEvent, "result_text" | "result_data">): SessionEvent {
  return { event_type: "result", session_id, ...result };
}
