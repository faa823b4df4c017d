import * as v from "valibot";
import { Blueprint, McpServers } from "./agent.ts";
import { OutputWanted } from "./run-output.ts";
import { Moment, RunView } from "./runner.ts";
import { Demands, ExecutionMode, FailureReason, RunStatus, RunType, WaitingFor } from "./run.ts";

/*
 * The exact answers of the built-in coordinator, as `/openapi.json` shows them. The schemas in the other files
 * (`Run`, `Session`, ...) are for clients, which also accept the answers of other coordinators.
 */

const text = v.string();
const textOrNull = v.nullable(text);
const time = v.pipe(text, v.isoTimestamp());
const timeOrNull = v.nullable(time);
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const amount = v.pipe(v.number(), v.minValue(0));
/** Any list may be one page. */
const page = { next_cursor: v.optional(textOrNull) };

export const RunAnswer = v.object({
  run_id: text,
  type: RunType,
  session_id: text,
  agent_name: textOrNull,
  prompt: text,
  parameters: v.optional(v.record(text, v.unknown())),
  project_dir: textOrNull,
  parent_session_id: textOrNull,
  execution_mode: ExecutionMode,
  demands: v.nullable(Demands),
  status: RunStatus,
  runner_id: textOrNull,
  error: textOrNull,
  reason: v.nullable(FailureReason),
  /** Why a runner gave the run back; after its end: what its runner said when it came back. */
  note: textOrNull,
  created_at: time,
  claimed_at: timeOrNull,
  started_at: timeOrNull,
  completed_at: timeOrNull,
  timeout_at: timeOrNull,
  priority: v.pipe(v.number(), v.integer()),
  waiting_for: v.nullable(WaitingFor),
  not_before: timeOrNull,
  expires_at: timeOrNull,
  attempt: count,
  returns: count,
  max_attempts: count,
  retry_delay_seconds: v.nullable(amount),
  retry_of: textOrNull,
  retried_by: textOrNull,
  total_cost_usd: v.nullable(amount),
  num_turns: v.nullable(count),
  input_tokens: v.nullable(count),
  output_tokens: v.nullable(count),
  /** How many of its events were beyond the bounds and left out. */
  events_dropped: count,
  traceparent: textOrNull,
  tracestate: textOrNull,
  /** The token's name and the address of the client; both null where the coordinator itself created the run. */
  created_by: textOrNull,
  created_from: textOrNull,
  /** The token's name of its runner. */
  claimed_by: textOrNull,
  stopped_by: textOrNull,
  stopped_from: textOrNull,
});
export const RunsAnswer = v.looseObject({ runs: v.array(RunAnswer), ...page });
export const CreatedRunAnswer = v.object({ run_id: text, session_id: text, status: v.literal("pending") });
export const StopRunAnswer = v.object({
  ok: v.literal(true),
  run_id: text,
  session_id: text,
  status: v.picklist(["stopping", "stopped"]),
  message: text,
});

const sessionFields = {
  session_id: text,
  status: v.picklist(["pending", "running", "idle", "finished", "failed", "stopping", "stopped"]),
  created_at: time,
  project_dir: textOrNull,
  agent_name: textOrNull,
  last_resumed_at: textOrNull,
  parent_session_id: textOrNull,
  executor_session_id: textOrNull,
  executor_type: textOrNull,
  hostname: textOrNull,
  execution_mode: textOrNull,
  total_cost_usd: amount,
  num_turns: count,
  input_tokens: count,
  output_tokens: count,
  run_ms: count,
};
export const SessionShown = v.object(sessionFields);
export const SessionsAnswer = v.looseObject({ sessions: v.array(SessionShown), ...page });
export const OneSessionAnswer = v.object({ session: SessionShown });
export const SessionWrittenAnswer = v.object({ ok: v.literal(true), session: SessionShown });
export const SessionStatusAnswer = v.object({ status: v.picklist([...sessionFields.status.options, "not_existent"]) });
export const RunResultAnswer = v.object({
  run_id: text,
  session_id: text,
  status: v.picklist(["completed", "failed", "stopped"]),
  result: textOrNull,
});
/** `result` in the first generation's form, the other two in the second's: one of them is null. */
export const ResultAnswer = v.object({ result: text, result_text: textOrNull, result_data: v.nullable(v.unknown()) });
export const AffinityAnswer = v.object({
  affinity: v.object({
    session_id: text,
    executor_session_id: textOrNull,
    hostname: textOrNull,
    project_dir: textOrNull,
    executor_type: textOrNull,
  }),
});
export const SessionDeletedAnswer = v.object({
  ok: v.literal(true),
  session_id: text,
  deleted: v.object({ session: v.literal(true), events_count: count, runs_count: count }),
});

export const EventShown = v.looseObject({ event_type: text, session_id: text, timestamp: text, event_id: count });
export const EventsAnswer = v.looseObject({ events: v.array(EventShown), ...page });

const RollUpShown = v.object({
  sessions: count,
  by_status: v.record(text, count),
  total_cost_usd: amount,
  num_turns: count,
  input_tokens: count,
  output_tokens: count,
  run_ms: count,
});
const LastEventShown = v.object({
  event_id: count,
  event_type: textOrNull,
  tool_name: textOrNull,
  timestamp: textOrNull,
});
/** `title`: the first words of the session's first prompt. */
const inTree = { ...sessionFields, title: textOrNull, roll_up: RollUpShown, last_event: v.nullable(LastEventShown) };
export const TreesAnswer = v.object({ trees: v.array(v.object(inTree)), next_cursor: textOrNull });
export const TreeAnswer = v.object({ sessions: v.array(v.object({ ...inTree, depth: count })), is_cut: v.boolean() });

export const TreeStoppedAnswer = v.object({
  ok: v.literal(true),
  stopped: v.array(v.object({ session_id: text, run_id: text, status: v.picklist(["stopping", "stopped"]) })),
});

export const AgentShown = v.object({
  name: text,
  description: text,
  system_prompt: v.optional(text),
  mcp_servers: v.optional(McpServers),
  skills: v.optional(v.array(text)),
  tags: v.array(text),
  demands: v.optional(Demands),
  status: v.picklist(["active", "inactive"]),
  created_at: time,
  modified_at: time,
  source: v.optional(v.literal("file")),
});
export const AgentsAnswer = v.array(AgentShown);

export const RunnerShown = v.object({
  runner_id: text,
  registered_at: time,
  last_heartbeat: time,
  hostname: text,
  project_dir: text,
  executor_type: text,
  executor_profile: textOrNull,
  tags: v.array(text),
  status: v.picklist(["online", "stale"]),
  seconds_since_heartbeat: amount,
  active_runs: count,
  generation: v.picklist(["first", "second"]),
  require_matching_tags: v.boolean(),
  /** Why its machine can execute no run; null if it can, as far as the runner knows. */
  cannot_run: textOrNull,
  /** Until the runs of a silent runner are given up; null while it is not silent, or has no started run. */
  lost_in_seconds: v.nullable(amount),
  /** The name of the token with which it registered; null without a token. */
  registered_by: textOrNull,
  /** No run is given out until this runner has said what it holds. */
  is_awaited: v.boolean(),
});
export const RunnersAnswer = v.looseObject({ runners: v.array(RunnerShown), ...page });
export const RunnerRemovedAnswer = v.object({
  ok: v.literal(true),
  message: text,
  initiated_by: v.picklist(["self", "external"]),
});

export const RegisteredAnswer = v.object({
  runner_id: text,
  poll_endpoint: v.literal("/runner/runs"),
  poll_timeout_seconds: amount,
  heartbeat_interval_seconds: amount,
  capabilities: v.array(text),
  keep_outcomes_seconds: amount,
});
export const PollAnswer = v.union([
  // A runner that registered in the second generation's form gets the last three fields, too.
  v.object({
    run: v.object({
      ...RunAnswer.entries,
      scope: v.optional(v.null()),
      resolved_agent_blueprint: v.optional(v.nullable(Blueprint)),
    }),
  }),
  v.object({ stop_runs: v.array(text), stop_sessions: v.optional(v.array(text)) }),
  v.object({ deregistered: v.literal(true) }),
  v.object({ output_wanted: v.array(OutputWanted) }),
]);

const steps = v.array(v.object({ up_to_ms: v.nullable(count), runs: count }));
export const StatsAnswer = v.object({
  since: time,
  runs: v.object({
    pending: v.object({ time: count, retry: count, turn: count, runner: count }),
    claimed: count,
    running: count,
    stopping: count,
  }),
  runners: v.object({ online: count, stale: count }),
  hours: v.array(
    v.object({
      hour: time,
      completed: count,
      failed: count,
      stopped: count,
      wait_ms: count,
      run_ms: count,
      total_cost_usd: amount,
    }),
  ),
  wait: steps,
  run: steps,
});

export const HealthAnswer = v.object({
  status: v.literal("healthy"),
  /** Only while no run is given out: after a start, or after a backup was restored. */
  claims_wait: v.optional(
    v.object({ reason: v.picklist(["started", "restored"]), runners: count, at_most_seconds: amount }),
  ),
});
export const OkAnswer = v.object({ ok: v.literal(true) });
export const ReportedAnswer = v.object({ ok: v.literal(true), moment: Moment });
/** All but `ok` only for a heartbeat with `held`. */
export const HeartbeatAnswer = v.object({
  ok: v.literal(true),
  moment: v.optional(Moment),
  runs: v.optional(v.array(RunView)),
  is_restored: v.optional(v.boolean()),
  asked: v.optional(v.array(text)),
});

/** Every error answer: a text, a list of invalid fields, or an object with `error` and `message`. */
export const FaultAnswer = v.object({
  detail: v.union([
    text,
    v.array(v.object({ type: text, loc: v.array(v.union([text, v.number()])), msg: text })),
    v.looseObject({ error: text, message: text }),
  ]),
});
