import { messageText, type SessionEvent } from "../../protocol/session.ts";

/** An event with its number at the coordinator. */
export interface NumberedEvent extends SessionEvent {
  readonly event_id: number;
}

interface Common {
  /** The number of the entry's first event. */
  readonly id: number;
  readonly at: string | null;
}

export interface MessageEntry extends Common {
  readonly kind: "message";
  readonly role: string;
  readonly text: string;
}

export interface ToolEntry extends Common {
  readonly kind: "tool";
  readonly name: string;
  /** A summary of the input in one line. */
  readonly gist: string;
  readonly input: string | null;
  /** Null until the call has ended. */
  readonly output: string | null;
  readonly hasFailed: boolean;
  readonly hasEnded: boolean;
  /** Called by a subagent. */
  readonly isNested: boolean;
}

/** Neither a message nor a tool call: a start, an end, data, or an unknown event type. */
export interface NoteEntry extends Common {
  readonly kind: "note";
  readonly title: string;
  readonly text: string | null;
  readonly isBad: boolean;
}

export type Entry = MessageEntry | ToolEntry | NoteEntry;

/** Turns events, in their order, into entries. Merges a tool's result into its call if `events` contains the call. */
export function conversationOf(events: readonly NumberedEvent[]): Entry[] {
  const entries: Entry[] = [];
  const calls = new Map<string, number>();
  let lastAnswer: string | null = null;
  for (const event of events) {
    const entry = entryOf(event, lastAnswer);
    if (entry === null) continue;
    if (entry.kind === "message" && entry.role === "assistant") lastAnswer = entry.text;
    const callId = entry.kind === "tool" && typeof event["tool_use_id"] === "string" ? event["tool_use_id"] : null;
    const index = callId === null ? undefined : calls.get(callId);
    const call = index === undefined ? undefined : entries[index];
    if (index !== undefined && call?.kind === "tool" && entry.kind === "tool" && entry.hasEnded) {
      entries[index] = { ...call, output: entry.output, hasFailed: entry.hasFailed, hasEnded: true };
      continue;
    }
    if (callId !== null) calls.set(callId, entries.length);
    entries.push(entry);
  }
  return entries;
}

function entryOf(event: NumberedEvent, lastAnswer: string | null): Entry | null {
  const common = { id: event.event_id, at: event.timestamp ?? null };
  const note = (title: string, text: string | null = null, isBad = false): NoteEntry => ({
    ...common,
    kind: "note",
    title,
    text,
    isBad,
  });
  switch (event.event_type) {
    case "message":
      return { ...common, kind: "message", role: event.role ?? "unknown", text: messageText(event) };
    case "pre_tool":
    case "post_tool":
      return toolEntry(event, common);
    case "result": {
      if (event.result_data != null) return note("Result", shown(event.result_data));
      // Executors repeat the agent's last message as the result.
      return event.result_text == null || event.result_text === lastAnswer ? null : note("Result", event.result_text);
    }
    case "session_start":
      return note("Session resumed");
    case "session_stop":
      return note("Turn ended", describeStop(event), (event.exit_code ?? 0) !== 0);
    case "ending":
      return note(
        event.reason == null || event.reason === "success" ? "Agent ended" : `Agent ended: ${event.reason}`,
        describeEnding(event),
        event.error != null,
      );
    case "usage":
      // The head of the page shows the totals.
      return null;
    default:
      return note(event.event_type, shown(withoutEnvelope(event)));
  }
}

function toolEntry(event: NumberedEvent, common: Common): ToolEntry {
  const hasEnded = event.event_type === "post_tool";
  return {
    ...common,
    kind: "tool",
    name: event.tool_name ?? "unnamed tool",
    gist: gistOf(event.tool_input),
    input: event.tool_input == null ? null : shown(event.tool_input),
    output: hasEnded ? shown(event.tool_output ?? event.error ?? "") : null,
    hasFailed: event.error != null,
    hasEnded,
    isNested: event["parent_tool_use_id"] != null,
  };
}

/** The input fields that describe a call best, in order of preference. */
const GIST_FIELDS = ["command", "file_path", "path", "pattern", "query", "url", "description", "prompt"];
const GIST_CHARACTERS = 160;

function gistOf(input: unknown): string {
  if (typeof input !== "object" || input === null) return input == null ? "" : String(input).slice(0, GIST_CHARACTERS);
  const fields = Object.entries(input).filter((field): field is [string, string] => typeof field[1] === "string");
  const best =
    GIST_FIELDS.map((name) => fields.find(([key]) => key === name)).find((field) => field !== undefined) ?? fields[0];
  return (best?.[1] ?? "").slice(0, GIST_CHARACTERS).replace(/\s+/g, " ").trim();
}

function describeStop({ reason, exit_code }: SessionEvent): string | null {
  const parts = [
    reason == null || reason === "completed" ? null : reason,
    exit_code == null || exit_code === 0 ? null : `exit code ${exit_code}`,
  ];
  return parts.filter((part) => part !== null).join(", ") || null;
}

function describeEnding(event: NumberedEvent): string | null {
  const { error, model, notes } = event;
  const parts = [
    error ?? null,
    typeof model === "string" ? `Model: ${model}` : null,
    ...(Array.isArray(notes) ? notes.map(shown) : []),
  ];
  return parts.filter((part) => part !== null).join("\n") || null;
}

function withoutEnvelope({
  event_type: _type,
  session_id: _session,
  timestamp: _time,
  event_id: _id,
  ...rest
}: NumberedEvent): object {
  const { id: _number, ...fields } = rest;
  return fields;
}

/** Strings unchanged; everything else as indented JSON. */
function shown(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
}
