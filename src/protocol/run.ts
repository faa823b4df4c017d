import * as v from "valibot";
import { RunId, SessionId } from "./identifiers.ts";
import { promptOfParameters } from "./parameters.ts";
import { Traceparent, Tracestate } from "./trace-context.ts";

export const RunType = v.picklist(["start_session", "resume_session"]);
export type RunType = v.InferOutput<typeof RunType>;

export const ExecutionMode = v.picklist(["sync", "async_poll", "async_callback"]);
export type ExecutionMode = v.InferOutput<typeof ExecutionMode>;

export const RunStatus = v.picklist(["pending", "claimed", "running", "stopping", "completed", "failed", "stopped"]);
export type RunStatus = v.InferOutput<typeof RunStatus>;

const TERMINAL: ReadonlySet<string> = new Set(["completed", "failed", "stopped"]);
/** True for a status that never changes again. */
export function isTerminal(status: string): boolean {
  return TERMINAL.has(status);
}

/**
 * Requirements for the runner of a run. Every field that is set must match; the tags must be a subset of the
 * runner's.
 */
export const Demands = v.object({
  hostname: v.nullish(v.string()),
  project_dir: v.nullish(v.string()),
  executor_type: v.nullish(v.string()),
  executor_profile: v.nullish(v.string()),
  tags: v.nullish(v.array(v.string())),
});
export type Demands = v.InferOutput<typeof Demands>;

/** Why a run failed, if known. The runner reports the first four reasons, the coordinator sets the others. */
export const FailureReason = v.picklist([
  "temporary",
  "interrupted",
  "not_started",
  "timed_out",
  "runner_lost",
  "no_match",
  "expired",
]);
export type FailureReason = v.InferOutput<typeof FailureReason>;

/** What a pending run waits for: its scheduled time, its turn in its session, a runner, or the pause before a retry. */
export const WaitingFor = v.picklist(["time", "turn", "runner", "retry"]);
export type WaitingFor = v.InferOutput<typeof WaitingFor>;

/** A time with its zone (`2026-01-31T08:00:00Z`, `2026-01-31T09:00:00.000+01:00`). */
export const Moment = v.pipe(
  v.string(),
  v.isoTimestamp("not a time such as 2026-01-31T08:00:00Z"),
  v.check((text) => isOnCalendar(text) && !Number.isNaN(Date.parse(text)), "there is no such day or time"),
);

/** `Date.parse` takes 30 February for 2 March. */
function isOnCalendar(text: string): boolean {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split("-").map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** A run in `GET /runs`, `GET /runs/{id}` and the poll (`docs/protocol.md`, section 3). Times are ISO 8601. */
export const Run = v.looseObject({
  run_id: RunId,
  type: v.fallback(RunType, "start_session"),
  session_id: SessionId,
  agent_name: v.nullish(v.string(), null),
  prompt: v.nullish(v.string(), null),
  project_dir: v.nullish(v.string(), null),
  parent_session_id: v.nullish(v.string(), null),
  execution_mode: v.nullish(v.string(), "sync"),
  demands: v.nullish(v.looseObject({}), null),
  status: v.string(),
  runner_id: v.nullish(v.string(), null),
  error: v.nullish(v.string(), null),
  created_at: v.nullish(v.string(), null),
  claimed_at: v.nullish(v.string(), null),
  started_at: v.nullish(v.string(), null),
  completed_at: v.nullish(v.string(), null),
  timeout_at: v.nullish(v.string(), null),
  // Only the built-in coordinator sends the fields below.
  priority: v.nullish(v.number(), 0),
  waiting_for: v.nullish(v.string(), null),
  not_before: v.nullish(v.string(), null),
  attempt: v.nullish(v.number(), 1),
  returns: v.nullish(v.number(), 0),
  /** How many of its events were beyond the bounds and left out. */
  events_dropped: v.nullish(v.number(), 0),
  max_attempts: v.nullish(v.number(), 1),
  reason: v.nullish(v.string(), null),
  note: v.nullish(v.string(), null),
  retried_by: v.nullish(v.string(), null),
});
export type Run = v.InferOutput<typeof Run>;

/** The limit for a prompt in UTF-8: 8 MiB. Every client and server of this program has the same one. */
export const MAX_PROMPT_BYTES = 8 * 1024 * 1024;

/** The limit for a request body: JSON may need six bytes for one of a prompt. */
export const MAX_BODY_BYTES = 6 * MAX_PROMPT_BYTES + 2 * 1024 * 1024;

const SMALL_BODY_BYTES = 1024 * 1024;

/** Whether a request's body may take much memory: its length is large, or unknown. */
export function mayBeLarge({ headers, body }: Request): boolean {
  const length = headers.get("content-length");
  return length === null ? body !== null : Number(length) > SMALL_BODY_BYTES;
}

/** Says that a prompt is too long; null if it is not. */
export function promptFault(prompt: string): string | null {
  const bytes = Buffer.byteLength(prompt);
  return bytes <= MAX_PROMPT_BYTES
    ? null
    : `the prompt has ${bytes} bytes, and ${MAX_PROMPT_BYTES} (8 MiB) is the limit`;
}

/** Body of `POST /runs` (`docs/protocol.md`, section 1b). */
export const CreateRun = v.object({
  type: RunType,
  prompt: v.pipe(
    v.string(),
    v.minLength(1, "the prompt is empty"),
    v.check(
      (prompt) => promptFault(prompt) === null,
      ({ input }) => promptFault(input) ?? "",
    ),
  ),
  /** The task in the second generation's form: may take the place of `prompt`, which is then its text. */
  parameters: v.nullish(v.record(v.string(), v.unknown())),
  session_id: v.nullish(SessionId),
  agent_name: v.nullish(v.string()),
  project_dir: v.nullish(v.string()),
  parent_session_id: v.nullish(SessionId),
  execution_mode: v.nullish(ExecutionMode, "sync"),
  additional_demands: v.nullish(Demands),
  /** A runner gets the run with the highest priority that it may take, and among equals the oldest. */
  priority: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(-1000), v.maxValue(1000))),
  /** No runner gets the run earlier. */
  not_before: v.nullish(Moment),
  /** As `not_before`, from now by the coordinator's clock; overrides it. Maximum: ten years. */
  delay_seconds: v.nullish(v.pipe(v.number(), v.minValue(0), v.maxValue(315_360_000))),
  /** The run fails if no runner claims it within this time after it could have started. Maximum: ten years. */
  ttl_seconds: v.nullish(v.pipe(v.number(), v.minValue(0.001), v.maxValue(315_360_000))),
  /** The maximum number of attempts. Only transient failures are retried. */
  max_attempts: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100))),
  /** The pause before the second attempt. It doubles with each further attempt. */
  retry_delay_seconds: v.nullish(v.pipe(v.number(), v.minValue(0), v.maxValue(86_400))),
  /**
   * The run's trace; default: the header `traceparent`. An invalid value is ignored, so that it cannot prevent a run.
   */
  traceparent: v.fallback(v.nullish(Traceparent), undefined),
  tracestate: v.fallback(v.nullish(Tracestate), undefined),
});
export type CreateRun = v.InferOutput<typeof CreateRun>;

/** A body of `POST /runs` in either generation's form: the second has `parameters` and no `prompt`. */
export const CreateRunOfEither = v.pipe(v.unknown(), v.transform(withPrompt), CreateRun);

function withPrompt(body: unknown): unknown {
  const { prompt, parameters } = (body ?? {}) as { readonly prompt?: unknown; readonly parameters?: unknown };
  const isSecond =
    prompt == null && typeof parameters === "object" && parameters !== null && !Array.isArray(parameters);
  if (!isSecond) return body;
  const names = Object.keys(parameters);
  const isLonePrompt = names.length === 1 && names[0] === "prompt";
  return {
    ...(body as object),
    prompt: isLonePrompt ? (parameters as { prompt: unknown }).prompt : promptOfParameters({ ...parameters }),
    ...(isLonePrompt ? { parameters: undefined } : {}),
  };
}

/** Answer of `POST /runs`. */
export const CreatedRun = v.looseObject({ run_id: RunId, session_id: SessionId, status: v.string() });
export type CreatedRun = v.InferOutput<typeof CreatedRun>;

/** Answer of `POST /runs/{id}/stop` and `POST /sessions/{id}/stop`. */
export const StopAnswer = v.looseObject({
  run_id: v.nullish(v.string(), null),
  session_id: v.nullish(v.string(), null),
  status: v.nullish(v.string(), null),
  message: v.nullish(v.string(), null),
});
export type StopAnswer = v.InferOutput<typeof StopAnswer>;

export const RunList = v.looseObject({ runs: v.array(v.unknown()), next_cursor: v.optional(v.nullable(v.string())) });
