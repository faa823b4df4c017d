import { readMessage } from "../../../executors/claude-code/messages.ts";
import { Turn } from "../../../executors/claude-code/turn.ts";

/*
 * Messages of Claude Code 2.1.330, recorded from real runs, without the fields that the executor ignores.
 */

type Json = Readonly<Record<string, unknown>>;

export function init(more: Json = {}): Json {
  const server = { name: "files", status: "connected" };
  return {
    type: "system",
    subtype: "init",
    session_id: "c0ffee",
    model: "opus",
    claude_code_version: "2.1.330",
    apiKeySource: "ANTHROPIC_API_KEY",
    mcp_servers: [server],
    ...more,
  };
}

export function assistantText(text: string, more: Json = {}): Json {
  return {
    type: "assistant",
    message: { role: "assistant", content: [{ type: "text", text }] },
    parent_tool_use_id: null,
    ...more,
  };
}

export function toolUse(id: string, name: string, input: Json = {}, more: Json = {}): Json {
  return {
    type: "assistant",
    message: { role: "assistant", content: [{ type: "tool_use", id, name, input }] },
    parent_tool_use_id: null,
    ...more,
  };
}

export function toolResult(id: string, content: unknown, more: Json = {}): Json {
  const { is_error, ...rest } = more;
  const block = { type: "tool_result", tool_use_id: id, content, ...(is_error === undefined ? {} : { is_error }) };
  return { type: "user", message: { role: "user", content: [block] }, parent_tool_use_id: null, ...rest };
}

export function delta(text: string): Json {
  return {
    type: "stream_event",
    event: { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
    parent_tool_use_id: null,
  };
}

export function retry(status: number | null, error: string): Json {
  return {
    type: "system",
    subtype: "api_retry",
    attempt: 1,
    max_retries: 10,
    retry_delay_ms: 500,
    error_status: status,
    error,
  };
}

export function background(...descriptions: string[]): Json {
  const tasks = descriptions.map((description, i) => ({ task_id: String(i), task_type: "local_bash", description }));
  return { type: "system", subtype: "background_tasks_changed", tasks };
}

const USAGE = { inputTokens: 11, outputTokens: 7, cacheReadInputTokens: 3, cacheCreationInputTokens: 2, costUSD: 0.25 };

export function result(text: string, more: Json = {}): Json {
  return {
    type: "result",
    subtype: "success",
    is_error: false,
    api_error_status: null,
    result: text,
    num_turns: 2,
    duration_ms: 300,
    modelUsage: { opus: USAGE },
    model_usage_since_last_result: { opus: USAGE },
    permission_denials: [],
    ...more,
  };
}

/** A result of subtype "success" although the provider failed. */
export function providerFailed(text: string, status: number | null, error: string): Json[] {
  return [
    assistantText(text, { error, message: { model: "<synthetic>", content: [{ type: "text", text }] } }),
    result(text, { is_error: true, api_error_status: status, terminal_reason: "api_error" }),
  ];
}

export function failed(subtype: string, errors: string[] = [], more: Json = {}): Json {
  return result("", { subtype, is_error: true, result: undefined, errors, ...more });
}

/** The turn after these messages. */
export function turnOf(...messages: readonly Json[]): Turn {
  const turn = new Turn();
  for (const message of messages) turn.observe(readMessage(message));
  return turn;
}
