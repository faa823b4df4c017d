import * as v from "valibot";
import {
  Any,
  Background,
  Init,
  ModelUsage,
  Result,
  Retry,
  TextBlock,
  ToolResultBlock,
  ToolUseBlock,
  Typed,
} from "./message-schemas.ts";

/*
 * The messages of Claude Code, reduced to the parts that this executor uses. Claude Code is the user's own program and
 * may have an unknown version. A message of an unexpected form is `other`; an optional field has a default.
 */

export interface ToolUse {
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}
export interface ToolResult {
  readonly id: string;
  readonly output: string;
  readonly isError: boolean;
}
export interface Usage {
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
}
export interface TurnResult {
  readonly subtype: string;
  readonly isError: boolean;
  readonly text: string;
  readonly errors: readonly string[];
  readonly structured: unknown;
  /** The HTTP status of the provider's error if the error ended the turn. */
  readonly apiStatus: number | null;
  readonly startFailure: string | null;
  readonly turns: number;
  readonly durationMs: number;
  /** Usage since the previous result, or since the start of the process. */
  readonly usage: Usage;
  readonly denials: readonly { readonly id: string; readonly tool: string }[];
}

export type Message =
  | {
      readonly kind: "init";
      readonly sessionId: string;
      readonly model: string;
      readonly version: string;
      readonly hasApiKey: boolean;
      readonly unconnected: readonly string[];
    }
  /**
   * `parent` is the tool use that started the subagent of this message; null for the agent itself. `isFromModel` is
   * false if Claude Code itself wrote the message, such as the output of a command or an error of the provider.
   */
  | {
      readonly kind: "assistant";
      readonly parts: readonly (string | ToolUse)[];
      readonly isFromModel: boolean;
      readonly error: string | null;
      readonly parent: string | null;
    }
  | { readonly kind: "tool-results"; readonly results: readonly ToolResult[]; readonly parent: string | null }
  /** The provider starts another answer; an earlier partial answer is void. */
  | { readonly kind: "answer-start" }
  /** Part of an answer. `text` is empty unless the part is text of the agent itself. */
  | { readonly kind: "delta"; readonly text: string }
  | { readonly kind: "retry"; readonly status: number | null; readonly error: string }
  | {
      readonly kind: "rate-limit";
      readonly isRejected: boolean;
      readonly type: string | null;
      readonly resetsAtMs: number | null;
    }
  | { readonly kind: "background"; readonly tasks: readonly string[] }
  | { readonly kind: "result"; readonly result: TurnResult }
  /** A message that this executor ignores. `type` is its type and subtype. */
  | { readonly kind: "other"; readonly type: string };

/** In place of a model's name if Claude Code itself wrote a message. */
const SYNTHETIC = "<synthetic>";

/** Later than this there are only times in ms, told as seconds. */
const LATEST_S = 100_000_000_000;
/** The last moment of a JavaScript date. */
const LATEST_MS = 8_640_000_000_000_000;

/** Seconds since 1970, or ms, as ms; null for no moment. */
function momentOf(told: number): number | null {
  const ms = told > LATEST_S ? told : told * 1000;
  return ms > 0 && ms <= LATEST_MS ? ms : null;
}

/** Reads one message of Claude Code; never throws. */
export function readMessage(message: unknown): Message {
  const parsed = v.safeParse(Any, message);
  if (!parsed.success) return { kind: "other", type: typeOf(message) };
  const seen = parsed.output;
  switch (seen.type) {
    case "system":
      return readSystem(seen);
    case "assistant":
      return {
        kind: "assistant",
        parts: seen.message.content.flatMap(readPart),
        isFromModel: seen.message.model !== SYNTHETIC,
        error: seen.error,
        parent: seen.parent_tool_use_id,
      };
    case "user":
      return {
        kind: "tool-results",
        results: seen.message.content.flatMap(readToolResult),
        parent: seen.parent_tool_use_id,
      };
    case "stream_event":
      if (seen.event.type === "message_start")
        return seen.parent_tool_use_id === null ? { kind: "answer-start" } : { kind: "other", type: seen.type };
      return { kind: "delta", text: seen.parent_tool_use_id === null ? seen.event.delta.text : "" };
    case "rate_limit_event": {
      const { status, rateLimitType, resetsAt, isUsingOverage } = seen.rate_limit_info;
      // Every 429 sends this event. A reached usage limit has a type or a reset time; otherwise the provider only
      // throttles.
      const isRejected = status === "rejected" && !isUsingOverage && (rateLimitType !== null || resetsAt !== null);
      return {
        kind: "rate-limit",
        isRejected,
        type: rateLimitType,
        resetsAtMs: resetsAt === null ? null : momentOf(resetsAt),
      };
    }
    case "result":
      return { kind: "result", result: readResult(seen) };
  }
}

function typeOf(message: unknown): string {
  const parsed = v.safeParse(Typed, message);
  if (!parsed.success) return "none";
  const { type, subtype, event } = parsed.output;
  return subtype == null ? (event == null ? type : `${type} ${typeOf(event)}`) : `${type} ${subtype}`;
}

function readSystem(seen: v.InferOutput<typeof Init | typeof Retry | typeof Background>): Message {
  switch (seen.subtype) {
    case "init": {
      const unconnected = seen.mcp_servers
        .filter(({ status }) => status !== "connected" && status !== "pending")
        .map(({ name, status }) => `${name} (${status})`);
      const { session_id: sessionId, model, claude_code_version: version, apiKeySource } = seen;
      return { kind: "init", sessionId, model, version, hasApiKey: apiKeySource !== "none", unconnected };
    }
    case "api_retry":
      return { kind: "retry", status: seen.error_status, error: seen.error };
    case "background_tasks_changed":
      return {
        kind: "background",
        tasks: seen.tasks.filter(({ ambient }) => !ambient).map(({ description }) => description),
      };
  }
}

function readPart(block: unknown): (string | ToolUse)[] {
  const textBlock = v.safeParse(TextBlock, block);
  if (textBlock.success) return textBlock.output.text === "" ? [] : [textBlock.output.text];
  const toolUse = v.safeParse(ToolUseBlock, block);
  return toolUse.success ? [{ id: toolUse.output.id, name: toolUse.output.name, input: toolUse.output.input }] : [];
}

function readToolResult(block: unknown): ToolResult[] {
  const parsed = v.safeParse(ToolResultBlock, block);
  if (!parsed.success) return [];
  const { tool_use_id: id, content, is_error: isError } = parsed.output;
  return [{ id, output: outputOf(content), isError }];
}

/** Joins the text blocks; shows each other block by its type. */
function outputOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((block: unknown) => {
      const textBlock = v.safeParse(TextBlock, block);
      if (textBlock.success) return textBlock.output.text;
      const other = v.safeParse(v.object({ type: v.string() }), block);
      return other.success ? `[${other.output.type}]` : "";
    })
    .join("\n");
}

function readResult(seen: v.InferOutput<typeof Result>): TurnResult {
  return {
    subtype: seen.subtype,
    isError: seen.is_error,
    text: seen.result,
    // Removes Claude Code's internal diagnostics.
    errors: seen.errors.filter((error) => !error.startsWith("[ede_diagnostic]")),
    structured: seen.structured_output,
    apiStatus: seen.api_error_status,
    startFailure: seen.startup_failure_reason,
    turns: seen.num_turns,
    durationMs: seen.duration_ms,
    usage: sumOf(Object.values(seen.model_usage_since_last_result ?? seen.modelUsage)),
    denials: seen.permission_denials.map(({ tool_use_id: id, tool_name: tool }) => ({ id, tool })),
  };
}

function sumOf(models: readonly v.InferOutput<typeof ModelUsage>[string][]): Usage {
  const sum = (field: keyof (typeof models)[number]): number =>
    models.reduce((total, model) => total + model[field], 0);
  return {
    costUsd: sum("costUSD"),
    inputTokens: sum("inputTokens"),
    outputTokens: sum("outputTokens"),
    cacheReadTokens: sum("cacheReadInputTokens"),
    cacheWriteTokens: sum("cacheCreationInputTokens"),
  };
}
