import type { SessionEvent } from "../../protocol/session.ts";

const MIB = 1024 * 1024;
/** Answers are results, which may be as long as a prompt. */
const LONG_TYPES: ReadonlySet<string> = new Set(["message", "result"]);
/** Few steps: each encodes the event again. */
const STEPS = [2, 16, 256, 4096];

/** The limit of an event's JSON in UTF-8. */
function mostBytesOf({ event_type }: Pick<SessionEvent, "event_type">): number {
  return LONG_TYPES.has(event_type) ? 8 * MIB : MIB;
}

/**
 * The event's JSON within its limit. A longer event has its longest texts shortened, and says so in `cut_from_bytes`;
 * one that is long because of many parts keeps only the fields that the coordinator itself reads.
 */
export function boundedJson(event: SessionEvent): string {
  const text = JSON.stringify(event);
  const most = mostBytesOf(event);
  const bytes = Buffer.byteLength(text);
  if (bytes <= most) return text;
  for (const step of STEPS) {
    const longest = most / step;
    const cut = JSON.stringify({ ...event, cut_from_bytes: bytes }, (_key, value: unknown) =>
      typeof value === "string" && value.length > longest ? shortened(value, longest) : value,
    );
    if (Buffer.byteLength(cut) <= most) return cut;
  }
  const { event_type, session_id, timestamp, role, exit_code } = event;
  return JSON.stringify({ event_type, session_id, timestamp, role, exit_code, cut_from_bytes: bytes });
}

function shortened(text: string, characters: number): string {
  return `${text.slice(0, characters)}\n[cut: ${text.length - characters} more characters]`;
}
