import * as v from "valibot";

/** The forms of Claude Code's messages, as far as this executor reads them. */

const count = v.nullish(v.number(), 0);
const text = v.nullish(v.string(), "");
const flag = v.nullish(v.boolean(), false);

export const Init = v.object({
  type: v.literal("system"),
  subtype: v.literal("init"),
  session_id: v.string(),
  model: text,
  claude_code_version: text,
  apiKeySource: v.nullish(v.string(), "none"),
  mcp_servers: v.nullish(v.array(v.object({ name: v.string(), status: v.string() })), []),
});
const Assistant = v.object({
  type: v.literal("assistant"),
  message: v.object({ content: v.array(v.unknown()), model: text }),
  error: v.nullish(v.string(), null),
  parent_tool_use_id: v.nullish(v.string(), null),
});
export const TextBlock = v.object({ type: v.literal("text"), text: v.string() });
export const ToolUseBlock = v.object({
  type: v.literal("tool_use"),
  id: v.string(),
  name: v.string(),
  input: v.fallback(v.record(v.string(), v.unknown()), {}),
});
const User = v.object({
  type: v.literal("user"),
  message: v.object({ content: v.array(v.unknown()) }),
  parent_tool_use_id: v.nullish(v.string(), null),
});
export const ToolResultBlock = v.object({
  type: v.literal("tool_result"),
  tool_use_id: v.string(),
  content: v.nullish(v.unknown()),
  is_error: flag,
});
const Streamed = v.object({
  type: v.literal("stream_event"),
  // Ignores the other events: Claude Code sends pings and retries by itself even when the provider gives no answer.
  event: v.variant("type", [
    v.object({ type: v.literal("message_start") }),
    v.object({ type: v.literal("content_block_delta"), delta: v.object({ text }) }),
  ]),
  parent_tool_use_id: v.nullish(v.string(), null),
});
export const Retry = v.object({
  type: v.literal("system"),
  subtype: v.literal("api_retry"),
  error_status: v.nullish(v.number(), null),
  error: text,
});
const RateLimit = v.object({
  type: v.literal("rate_limit_event"),
  rate_limit_info: v.object({
    status: v.string(),
    resetsAt: v.nullish(v.number(), null),
    rateLimitType: v.nullish(v.string(), null),
    isUsingOverage: flag,
  }),
});
export const Background = v.object({
  type: v.literal("system"),
  subtype: v.literal("background_tasks_changed"),
  tasks: v.array(v.object({ description: text, ambient: flag })),
});
export const ModelUsage = v.record(
  v.string(),
  v.object({
    costUSD: count,
    inputTokens: count,
    outputTokens: count,
    cacheReadInputTokens: count,
    cacheCreationInputTokens: count,
  }),
);
/** Without its result a turn would never end, so a field of an unexpected form counts as missing. */
export const Result = v.object({
  type: v.literal("result"),
  subtype: v.string(),
  is_error: flag,
  result: text,
  errors: v.fallback(v.nullish(v.array(v.string()), []), []),
  structured_output: v.nullish(v.unknown()),
  api_error_status: v.nullish(v.number(), null),
  startup_failure_reason: v.nullish(v.string(), null),
  num_turns: count,
  duration_ms: count,
  modelUsage: v.fallback(v.nullish(ModelUsage, {}), {}),
  model_usage_since_last_result: v.fallback(v.nullish(ModelUsage), undefined),
  permission_denials: v.fallback(
    v.nullish(v.array(v.object({ tool_use_id: v.string(), tool_name: v.string() })), []),
    [],
  ),
});
export const Any = v.variant("type", [
  v.variant("subtype", [Init, Retry, Background]),
  Assistant,
  User,
  Streamed,
  RateLimit,
  Result,
]);

export const Typed = v.looseObject({ type: v.string(), subtype: v.nullish(v.string()), event: v.nullish(v.unknown()) });
