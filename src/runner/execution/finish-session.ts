import type { Grant } from "../../gateway/grant.ts";
import type { SessionEvent } from "../../protocol/session.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { deliver } from "../link/deliver.ts";
import type { RunnerParts } from "./runner-parts.ts";

/**
 * Sends the events that a successful executor has not sent itself: the end of its stdout as the assistant message, then
 * `session_stop`, which finishes a session of the first generation. A run of the second also needs the `result` event.
 * So `echo hello` is a complete executor.
 */
export async function finishSession(
  run: ActiveRun,
  grant: Grant,
  stdoutTail: () => string,
  parts: RunnerParts,
): Promise<void> {
  for (const event of missingEvents(run, grant, stdoutTail)) {
    const options = { ...parts.delivery, context: run.context, isReport: true };
    const delivered = await deliver(`Event ${event.event_type}`, () => send(event, grant, parts), options);
    if (delivered.kind === "refused") {
      parts.log
        .scope("supervisor")
        .warn(`The coordinator refused the event ${event.event_type}: ${delivered.failure.message}`, run.context);
    }
  }
}

async function send(event: SessionEvent, grant: Grant, { coordinator }: RunnerParts): Promise<void> {
  const sendAndNote = async (): Promise<void> => {
    await coordinator.sendEvent(event);
    grant.noteEvent(event);
  };
  if (event.event_type === "session_stop") await grant.sendStop(event, sendAndNote);
  else await sendAndNote();
}

function missingEvents(run: ActiveRun, { activity, eventTime }: Grant, stdoutTail: () => string): SessionEvent[] {
  const needsResult = run.assigned.generation === "second" && !activity.resultSent;
  if (activity.sessionStopSent && !needsResult) return [];
  const event = (event_type: string, more: Partial<SessionEvent>): SessionEvent => ({
    event_type,
    session_id: run.sessionId,
    timestamp: eventTime.next(),
    ...more,
  });
  const text = activity.assistantMessageSent ? activity.lastAssistantText : stdoutTail();
  const events: SessionEvent[] = [];
  if (!activity.assistantMessageSent && text !== "") {
    events.push(event("message", { role: "assistant", content: [{ type: "text", text }] }));
  }
  if (needsResult) events.push(event("result", { result_text: text }));
  if (!activity.sessionStopSent) events.push(event("session_stop", { exit_code: 0, reason: "completed" }));
  return events;
}
