import { hostname } from "node:os";
import type { NewEvent } from "../../src/executor-kit/session-client.ts";
import type { Invocation } from "../../src/protocol/invocation.ts";
import type { Bind } from "../../src/protocol/session.ts";
import type { Ending } from "./endings.ts";
import type { Message, ToolUse } from "./messages.ts";
import type { Turn } from "./turn.ts";

export const NAME = "claude-code";

/** The bind of the session. A resume needs Claude Code's own session id, and the folder in which the session began. */
export function bindOf(sessionId: string, projectDir: string): Bind {
  return {
    executor_session_id: sessionId,
    hostname: hostname(),
    executor_type: NAME,
    executor_profile: NAME,
    project_dir: projectDir,
  };
}

/**
 * The events for one message, in order. Call before `turn` observes the message. Redacts inputs and outputs of tools.
 */
export function eventsOf(message: Message, turn: Turn, redact: (text: string) => string): NewEvent[] {
  switch (message.kind) {
    case "assistant": {
      const { parts, parent, error, isFromModel } = message;
      return parts.flatMap((part) => {
        if (typeof part !== "string") return [preTool(part, parent, redact)];
        // Skips texts that Claude Code itself wrote, errors of the provider among them, and texts of subagents.
        return error === null && isFromModel && parent === null ? [assistantMessage(part)] : [];
      });
    }
    case "tool-results":
      return message.results.flatMap(({ id, output, isError }) => {
        const use = turn.toolUse(id);
        if (use === undefined) return [];
        const text = truncate(redact(output));
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

/** The last events of a run, except `session_stop`. */
export function closingEvents(ending: Ending, turn: Turn, notes: readonly string[]): NewEvent[] {
  const events: NewEvent[] = [];
  const text = ending.kind === "success" ? ending.text : turn.partialText;
  // The first generation takes the last message as the session's result, so the last message must equal the result.
  if (text !== "" && text !== turn.lastText) events.push(assistantMessage(text));
  if (ending.kind === "success") events.push(resultEvent(ending));
  events.push(endingEvent(ending, turn, notes));
  return events;
}

/** The result event has either a text or data, never both. */
function resultEvent({ text, data }: Ending & { kind: "success" }): NewEvent {
  if (data === null) return { event_type: "result", result_text: text };
  return {
    event_type: "result",
    result_data: typeof data === "object" && !Array.isArray(data) ? { ...data } : { value: data },
  };
}

function endingEvent(ending: Ending, turn: Turn, notes: readonly string[]): NewEvent {
  const { turns, durationMs, usage } = turn.totals;
  const denials = turn.result?.denials ?? [];
  return {
    event_type: "ending",
    reason: ending.kind,
    ...(ending.kind === "success" ? {} : { error: ending.reason }),
    ...(ending.kind === "usage-limit" && ending.resetsAt !== null
      ? { resets_at: ending.resetsAt, retry_at: ending.resetsAt, ...ofAllRuns(turn, ending.resetsAt) }
      : {}),
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

/** The limit of one model leaves the runs of the others alone. */
function ofAllRuns({ limit }: Turn, until: string): { limited_until?: string } {
  return /opus|sonnet|haiku/i.test(limit?.type ?? "") ? {} : { limited_until: until };
}

/** The first events of a run. */
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
    tool_input: truncateAll(use.input, redact),
    ...(parent === null ? {} : { parent_tool_use_id: parent }),
  };
}

const HEAD = 12_000;
const TAIL = 4_000;

/** Keeps the beginning and the end of a long text: the end often contains the outcome. */
function truncate(text: string): string {
  const omitted = text.length - HEAD - TAIL;
  return omitted <= 0
    ? text
    : `${text.slice(0, HEAD)}\n[... ${omitted} of ${text.length} characters omitted ...]\n${text.slice(-TAIL)}`;
}

function truncateAll(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === "string") return truncate(redact(value));
  if (Array.isArray(value)) return value.map((item) => truncateAll(item, redact));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, truncateAll(item, redact)]));
}
