import { hostname } from "node:os";
import type { NewEvent } from "../../src/executor-kit/session-client.ts";
import type { Invocation } from "../../src/protocol/invocation.ts";
import type { Bind } from "../../src/protocol/session.ts";
import type { Ending } from "./endings.ts";
import type { Message, ToolUse } from "./messages.ts";
import type { Turn } from "./turn.ts";

export const NAME = "claude-code";

/** Who executes the session: Claude Code's own id of it is what a resume goes by, and its folder where Claude Code finds it again. */
export function bindOf(sessionId: string, projectDir: string): Bind {
  return {
    executor_session_id: sessionId,
    hostname: hostname(),
    executor_type: NAME,
    executor_profile: NAME,
    project_dir: projectDir,
  };
}

/** What the session is told of one message, in this order. `turn` has not taken note of it yet. `redact` is for what tools were given and gave. */
export function eventsOf(message: Message, turn: Turn, redact: (text: string) => string): NewEvent[] {
  switch (message.kind) {
    case "assistant": {
      const { parts, parent, error } = message;
      return parts.flatMap((part) => {
        if (typeof part !== "string") return [preTool(part, parent, redact)];
        // Where the provider failed Claude Code puts its words in the agent's mouth; and a subagent speaks to the agent only.
        return error === null && parent === null ? [assistantMessage(part)] : [];
      });
    }
    case "tool-results":
      return message.results.flatMap(({ id, output, isError }) => {
        const use = turn.toolUse(id);
        if (use === undefined) return [];
        const text = cut(redact(output));
        return [
          {
            ...toolEvent("post_tool", use, message.parent, redact),
            tool_output: text,
            ...(isError ? { error: text } : {}),
          },
        ];
      });
    default:
      return [];
  }
}

/** What the session is told when all is over, `session_stop` excepted. */
export function closingEvents(ending: Ending, turn: Turn, notes: readonly string[]): NewEvent[] {
  const events: NewEvent[] = [];
  const said = ending.kind === "success" ? ending.text : turn.unfinishedText;
  // One API generation takes the last message for the session's result: it has to be that, to the letter.
  if (said !== "" && said !== turn.lastText) events.push(assistantMessage(said));
  if (ending.kind === "success") events.push(resultEvent(ending));
  events.push(endingEvent(ending, turn, notes));
  return events;
}

/** Either a text or data, never both. */
function resultEvent({ text, data }: Ending & { kind: "success" }): NewEvent {
  if (data === null) return { event_type: "result", result_text: text };
  return {
    event_type: "result",
    result_data: typeof data === "object" && !Array.isArray(data) ? { ...data } : { value: data },
  };
}

function endingEvent(ending: Ending, turn: Turn, notes: readonly string[]): NewEvent {
  const { turns, durationMs, usage } = turn.figures;
  const denials = turn.result?.denials ?? [];
  return {
    event_type: "ending",
    reason: ending.kind,
    ...(ending.kind === "success" ? {} : { error: ending.reason }),
    ...(ending.kind === "usage-limit" && ending.resetsAt !== null ? { resets_at: ending.resetsAt } : {}),
    turns,
    duration_ms: durationMs,
    cost_usd: usage.costUsd,
    tokens: {
      input: usage.inputTokens,
      output: usage.outputTokens,
      cache_read: usage.cacheReadTokens,
      cache_write: usage.cacheWriteTokens,
    },
    model: turn.model,
    claude_code_version: turn.version,
    ...(denials.length === 0 ? {} : { refused_tools: denials.map(({ tool }) => tool) }),
    ...(notes.length === 0 ? {} : { notes: [...notes] }),
  };
}

/** What the session is told at the beginning. */
export function openingEvents({ mode, prompt }: Pick<Invocation, "mode" | "prompt">): NewEvent[] {
  const message: NewEvent = { event_type: "message", role: "user", content: [{ type: "text", text: prompt }] };
  return mode === "resume" ? [{ event_type: "session_start" }, message] : [message];
}

function assistantMessage(text: string): NewEvent {
  return { event_type: "message", role: "assistant", content: [{ type: "text", text }] };
}

function preTool(use: ToolUse, parent: string | null, redact: (text: string) => string): NewEvent {
  return toolEvent("pre_tool", use, parent, redact);
}

function toolEvent(
  type: "pre_tool" | "post_tool",
  use: ToolUse,
  parent: string | null,
  redact: (text: string) => string,
): NewEvent {
  return {
    event_type: type,
    tool_name: use.name,
    tool_use_id: use.id,
    tool_input: cutAll(use.input, redact),
    ...(parent === null ? {} : { parent_tool_use_id: parent }),
  };
}

const HEAD = 12_000;
const TAIL = 4_000;

/** A long text's beginning and end: the end often says how it went. */
function cut(text: string): string {
  const left = text.length - HEAD - TAIL;
  return left <= 0
    ? text
    : `${text.slice(0, HEAD)}\n[... ${left} of ${text.length} characters left out ...]\n${text.slice(-TAIL)}`;
}

function cutAll(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === "string") return cut(redact(value));
  if (Array.isArray(value)) return value.map((item) => cutAll(item, redact));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutAll(item, redact)]));
}
