import * as v from "valibot";
import { SessionId } from "./identifiers.ts";
import { ExecutionMode } from "./run.ts";

/**
 * A session in `GET /sessions` (`docs/protocol.md`, section 1b). `status`: pending, running, idle, finished, failed,
 * stopping, stopped.
 */
export const Session = v.looseObject({
  session_id: SessionId,
  status: v.string(),
  created_at: v.nullish(v.string(), null),
  project_dir: v.nullish(v.string(), null),
  agent_name: v.nullish(v.string(), null),
  last_resumed_at: v.nullish(v.string(), null),
  parent_session_id: v.nullish(v.string(), null),
  executor_session_id: v.nullish(v.string(), null),
  executor_type: v.nullish(v.string(), null),
  hostname: v.nullish(v.string(), null),
  execution_mode: v.nullish(v.string(), null),
});
export type Session = v.InferOutput<typeof Session>;

export const SessionAnswer = v.looseObject({ session: Session });

/**
 * A session's place in its tree: its depth, the number of children that it ever started, and of runs that the whole
 * tree ever had. Deleted ones count.
 */
export const TreeShape = v.object({ depth: v.number(), children: v.number(), runs: v.number() });
export type TreeShape = v.InferOutput<typeof TreeShape>;

/** Answer of `GET /sessions/{id}/tree`, which only the built-in coordinator has. */
export const TreeAnswer = v.looseObject({ tree: TreeShape });

export const SessionList = v.looseObject({
  sessions: v.array(v.unknown()),
  next_cursor: v.optional(v.nullable(v.string())),
});

/** Body of the legacy `POST /sessions`. */
export const CreateSession = v.object({
  session_id: SessionId,
  project_dir: v.nullish(v.string()),
  agent_name: v.nullish(v.string()),
  parent_session_id: v.nullish(SessionId),
  execution_mode: v.nullish(ExecutionMode),
});
export type CreateSession = v.InferOutput<typeof CreateSession>;

/** Body of `POST /sessions/{id}/bind`, with the fields of both generations (`docs/protocol.md`, section 10). */
export const Bind = v.object({
  executor_session_id: v.pipe(v.string(), v.minLength(1, "executor_session_id is empty")),
  hostname: v.nullish(v.string()),
  executor_type: v.nullish(v.string()),
  executor_profile: v.nullish(v.string()),
  project_dir: v.nullish(v.string()),
});
export type Bind = v.InferOutput<typeof Bind>;

/** Body of `PATCH /sessions/{id}/metadata`. */
export const Metadata = v.object({
  project_dir: v.nullish(v.string()),
  agent_name: v.nullish(v.string()),
  last_resumed_at: v.nullish(v.string()),
  executor_session_id: v.nullish(v.string()),
  executor_type: v.nullish(v.string()),
  executor_profile: v.nullish(v.string()),
  hostname: v.nullish(v.string()),
});
export type Metadata = v.InferOutput<typeof Metadata>;

/** An event of a session (`docs/protocol.md`, section 10). `event_type` is any string. Unknown fields are kept. */
export const SessionEvent = v.looseObject({
  event_type: v.pipe(v.string(), v.minLength(1, "event_type is empty")),
  session_id: SessionId,
  timestamp: v.nullish(v.string()),
  tool_name: v.nullish(v.string()),
  tool_input: v.nullish(v.unknown()),
  tool_output: v.nullish(v.unknown()),
  error: v.nullish(v.string()),
  exit_code: v.nullish(v.number()),
  reason: v.nullish(v.string()),
  role: v.nullish(v.string()),
  content: v.nullish(v.array(v.looseObject({ type: v.string(), text: v.nullish(v.string()) }))),
  result_text: v.nullish(v.string()),
  result_data: v.nullish(v.looseObject({})),
});
export type SessionEvent = v.InferOutput<typeof SessionEvent>;

/** In the answer to an event that was beyond the limits of its run, and was not stored. */
export const DROPPED_HEADER = "x-event-dropped";

/** The joined text blocks of a message event. */
export function messageText(event: SessionEvent): string {
  return (event.content ?? []).map((block) => block.text ?? "").join("");
}

/** A run's usage so far. Input tokens include the tokens that were read from or written to a cache. */
export interface Usage {
  readonly total_cost_usd: number | null;
  readonly num_turns: number | null;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
}

const amount = v.fallback(v.nullish(v.pipe(v.number(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))), null);
const count = v.fallback(
  v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))),
  null,
);
const UsageFields = v.looseObject({
  total_cost_usd: amount,
  num_turns: count,
  usage: v.fallback(
    v.nullish(
      v.looseObject({
        input_tokens: count,
        output_tokens: count,
        cache_creation_input_tokens: count,
        cache_read_input_tokens: count,
      }),
    ),
    null,
  ),
});

/** These events carry a run's totals. A message carries at most the usage of one call. */
const USAGE_EVENTS: ReadonlySet<string> = new Set(["usage", "result", "session_stop"]);

/**
 * The usage in an event `usage`, `result` or `session_stop`; null if the event has none. Reads the optional fields
 * `total_cost_usd`, `num_turns` and `usage {input_tokens, output_tokens, cache_creation_input_tokens,
 * cache_read_input_tokens}`, and ignores invalid numbers.
 */
export function usageOf(event: SessionEvent): Usage | null {
  if (!USAGE_EVENTS.has(event.event_type)) return null;
  const { total_cost_usd, num_turns, usage } = v.parse(UsageFields, event);
  const inputs = [usage?.input_tokens, usage?.cache_creation_input_tokens, usage?.cache_read_input_tokens].filter(
    (tokens) => tokens != null,
  );
  const input_tokens = inputs.length === 0 ? null : inputs.reduce((sum, tokens) => sum + tokens, 0);
  const totals = {
    total_cost_usd: total_cost_usd ?? null,
    num_turns: num_turns ?? null,
    input_tokens,
    output_tokens: usage?.output_tokens ?? null,
  };
  return Object.values(totals).every((value) => value === null) ? null : totals;
}
