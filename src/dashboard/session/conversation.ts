import { messageText, type SessionEvent } from "../../protocol/session.ts";

/** An event as the coordinator numbers it. */
export interface NumberedEvent extends SessionEvent {
  readonly event_id: number;
}

interface Common {
  /** The number of the event that it begins with. */
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
  /** What it is about, in a few words. */
  readonly gist: string;
  readonly input: string | null;
  /** Null while there is none. */
  readonly output: string | null;
  readonly hasFailed: boolean;
  readonly hasEnded: boolean;
  /** Called by an agent within the agent. */
  readonly isNested: boolean;
}

/** What is neither said nor done: a beginning, an end, data, or something that this page knows nothing of. */
export interface NoteEntry extends Common {
  readonly kind: "note";
  readonly title: string;
  readonly text: string | null;
  readonly isBad: boolean;
}

export type Entry = MessageEntry | ToolEntry | NoteEntry;

/** What a session's events tell, as a conversation; events in their order. A tool's result is with its call if that is among them. */
export function conversationOf(events: readonly NumberedEvent[]): Entry[] {
  const entries: Entry[] = [];
  const calls = new Map<string, number>();
  let lastAnswer: string | null = null;
  for (const event of events) {
    const entry = entryOf(event, lastAnswer);
    if (entry === null) continue;
    if (entry.kind === "message" && entry.role === "assistant") lastAnswer = entry.text;
    const use = entry.kind === "tool" && typeof event["tool_use_id"] === "string" ? event["tool_use_id"] : null;
    const call = use === null ? undefined : calls.get(use);
    const called = call === undefined ? undefined : entries[call];
    if (call !== undefined && called?.kind === "tool" && entry.kind === "tool" && entry.hasEnded) {
      entries[call] = { ...called, output: entry.output, hasFailed: entry.hasFailed, hasEnded: true };
      continue;
    }
    if (use !== null) calls.set(use, entries.length);
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
      // Executors repeat here what the agent has just said.
      return event.result_text == null || event.result_text === lastAnswer ? null : note("Result", event.result_text);
    }
    case "session_start":
      return note("The session was resumed");
    case "session_stop":
      return note("The turn has ended", endOf(event), (event.exit_code ?? 0) !== 0);
    case "ending":
      return note(
        event.reason == null || event.reason === "success"
          ? "The agent has ended"
          : `The agent has ended: ${event.reason}`,
        endingOf(event),
        event.error != null,
      );
    case "usage":
      // Its sums are at the head of the page.
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
    name: event.tool_name ?? "a tool",
    gist: gistOf(event.tool_input),
    input: event.tool_input == null ? null : shown(event.tool_input),
    output: hasEnded ? shown(event.tool_output ?? event.error ?? "") : null,
    hasFailed: event.error != null,
    hasEnded,
    isNested: event["parent_tool_use_id"] != null,
  };
}

/** What agents' tools call the thing that their reader looks for. */
const TELLING = ["command", "file_path", "path", "pattern", "query", "url", "description", "prompt"];
const GIST_CHARACTERS = 160;

function gistOf(input: unknown): string {
  if (typeof input !== "object" || input === null) return input == null ? "" : String(input).slice(0, GIST_CHARACTERS);
  const fields = Object.entries(input).filter((field): field is [string, string] => typeof field[1] === "string");
  const told =
    TELLING.map((name) => fields.find(([key]) => key === name)).find((field) => field !== undefined) ?? fields[0];
  return (told?.[1] ?? "").slice(0, GIST_CHARACTERS).replace(/\s+/g, " ").trim();
}

function endOf({ reason, exit_code }: SessionEvent): string | null {
  const said = [
    reason == null || reason === "completed" ? null : reason,
    exit_code == null || exit_code === 0 ? null : `exit code ${exit_code}`,
  ];
  return said.filter((part) => part !== null).join(", ") || null;
}

function endingOf(event: NumberedEvent): string | null {
  const { error, model, notes } = event;
  const said = [
    error ?? null,
    typeof model === "string" ? `Model: ${model}` : null,
    ...(Array.isArray(notes) ? notes.map(shown) : []),
  ];
  return said.filter((part) => part !== null).join("\n") || null;
}

function withoutEnvelope({
  event_type: _type,
  session_id: _session,
  timestamp: _time,
  event_id: _id,
  ...rest
}: NumberedEvent): object {
  return rest;
}

/** Texts as they are; anything else as JSON that people can read. */
function shown(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
}
