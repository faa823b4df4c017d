import * as v from "valibot";
import { SessionId } from "./identifiers.ts";
import { ExecutionMode } from "./run.ts";

/** A session as `GET /sessions` shows it (protocol, section 1b). `status`: pending, running, idle, finished, failed, stopping, stopped. */
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
 * Where a session stands in its tree: how many are above it, how many child sessions it has, how many runs the whole tree has had. The
 * sessions that have been deleted do not count.
 */
export const TreeShape = v.object({ depth: v.number(), children: v.number(), runs: v.number() });
export type TreeShape = v.InferOutput<typeof TreeShape>;

/** Answer of `GET /sessions/{id}/tree`, which is ours. */
export const TreeAnswer = v.looseObject({ tree: TreeShape });

export const SessionList = v.looseObject({ sessions: v.array(v.unknown()) });

/** Body of the legacy `POST /sessions`. */
export const CreateSession = v.object({
  session_id: SessionId,
  project_dir: v.nullish(v.string()),
  agent_name: v.nullish(v.string()),
  parent_session_id: v.nullish(SessionId),
  execution_mode: v.nullish(ExecutionMode),
});
export type CreateSession = v.InferOutput<typeof CreateSession>;

/** Body of `POST /sessions/{id}/bind`: both generations' fields (protocol, section 10). */
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

/** An event of a session (protocol, section 10). `event_type` is a free string; unknown fields are kept. */
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

/** The text of a message event: its text blocks, joined. */
export function messageText(event: SessionEvent): string {
  return (event.content ?? []).map((block) => block.text ?? "").join("");
}
