import * as v from "valibot";
import { clip } from "../errors.ts";
import { RunId } from "./identifiers.ts";
import { FailureReason } from "./run.ts";

const nonEmpty = v.pipe(v.string(), v.minLength(1));

/**
 * Names one process of a runner: a new one at each start. Only the built-in coordinator reads it, at registration and
 * in the header `INSTANCE_HEADER` of every call.
 */
const InstanceId = v.pipe(v.string(), v.regex(/^[\w-]{8,64}$/, "not an instance id"));
export const INSTANCE_HEADER = "x-runner-instance";

/** Body of `POST /runner/register`: the superset that both generations accept (`docs/protocol.md`, section 15). */
export const Register = v.looseObject({
  hostname: nonEmpty,
  project_dir: nonEmpty,
  executor_type: v.nullish(nonEmpty),
  executor_profile: v.nullish(nonEmpty),
  tags: v.nullish(v.array(v.string())),
  instance_id: v.nullish(InstanceId),
  supersedes: v.nullish(v.array(InstanceId), []),
  // The second generation's fields.
  executor: v.nullish(v.looseObject({ type: v.nullish(v.string()), lifecycle: v.nullish(v.string()) })),
  require_matching_tags: v.nullish(v.boolean()),
  agents: v.nullish(v.array(v.unknown())),
});
export type Register = v.InferOutput<typeof Register>;

const seconds = v.nullish(v.pipe(v.number(), v.minValue(0.1), v.maxValue(3600)));
const registration = {
  runner_id: v.pipe(v.string(), v.regex(/^[\w.:-]{1,200}$/, "not a runner id")),
  poll_timeout_seconds: seconds,
  heartbeat_interval_seconds: seconds,
  capabilities: v.nullish(v.array(v.string()), []),
  /** How long a runner keeps the outcomes of its runs, in seconds: as old as a restored backup may be. */
  keep_outcomes_seconds: v.nullish(v.pipe(v.number(), v.minValue(0))),
};

/**
 * Answer of `POST /runner/register`. Only the built-in coordinator sends `capabilities`. "capacity": a poll accepts
 * `capacity=0` (stops only). "output": a poll accepts `output=1` (the runner shows output). "return": the report
 * `returned` is known.
 */
export const Registered = v.looseObject(registration);
export type Registered = v.InferOutput<typeof Registered>;

/**
 * A 409 to `POST /runner/register` for an identity that is online. The built-in coordinator adds the regular answer's
 * fields.
 */
export const DuplicateRunner = v.looseObject({
  detail: v.looseObject({
    ...registration,
    error: v.literal("duplicate_runner"),
    hostname: v.nullish(v.string(), null),
    /** Another instance of the identity is alive. Only the built-in coordinator knows. */
    is_live: v.nullish(v.boolean(), null),
  }),
});
export type DuplicateRunner = v.InferOutput<typeof DuplicateRunner>["detail"];

/** A run that a runner holds: claimed and not started, its executor running, or its end not acknowledged. */
export const HeldRun = v.object({ run_id: RunId, state: v.picklist(["claimed", "running", "reporting"]) });
export type HeldRun = v.InferOutput<typeof HeldRun>;

/**
 * The coordinator's place in its own history: `epoch` names its present process, `moves` counts the changes of status
 * in the life of its database.
 */
export const Moment = v.object({ epoch: v.string(), moves: v.pipe(v.number(), v.integer(), v.minValue(0)) });
export type Moment = v.InferOutput<typeof Moment>;

/**
 * Body of `POST /runner/heartbeat`. Only the built-in coordinator reads the rest. `claimed_run_ids` renews the leases
 * of runs that are claimed and not started. `held` asks for a reconciliation: it names every run that the runner holds.
 * `seen` is the latest moment of the coordinator that the runner knows; `answered` the epoch whose `asked` it answered.
 * `cannot_run` says why the runner takes no runs.
 */
export const Heartbeat = v.object({
  runner_id: v.string(),
  claimed_run_ids: v.nullish(v.array(RunId)),
  held: v.nullish(v.array(HeldRun)),
  seen: v.nullish(Moment),
  answered: v.nullish(v.string()),
  cannot_run: v.nullish(
    v.pipe(
      v.string(),
      v.transform((text) => clip(text, 500)),
    ),
  ),
});
export type Heartbeat = v.InferOutput<typeof Heartbeat>;

/**
 * The coordinator's view, in the answer to a heartbeat with `held`. `runs`: every run that is open under this runner,
 * and every held one, with its status; `is_own` is false where the run is not open under this runner. `is_restored`:
 * the database was restored from a backup, and this runner has not answered `asked` yet. `asked`: after a restored
 * backup, open runs of which the runner may know the outcome.
 */
export const RunView = v.object({ run_id: RunId, status: v.string(), is_own: v.boolean() });
export type RunView = v.InferOutput<typeof RunView>;
export const Reconciled = v.looseObject({
  moment: v.nullish(Moment, null),
  runs: v.nullish(v.array(RunView), null),
  is_restored: v.nullish(v.boolean(), false),
  asked: v.nullish(v.array(RunId), []),
});
export type Reconciled = v.InferOutput<typeof Reconciled>;

/**
 * Milliseconds from the executor's start to its end, on the runner's monotonic clock. Only the built-in coordinator
 * reads it. A value that is no such time counts as none: it must not hold up the report.
 */
const DurationMs = v.fallback(v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e12))), null);

/** Bodies of `POST /runner/runs/{id}/started|completed|failed|stopped` (`docs/protocol.md`, section 5). */
export const StartedReport = v.looseObject({ runner_id: v.string() });
export const CompletedReport = v.looseObject({
  runner_id: v.string(),
  status: v.nullish(v.string(), "success"),
  session_status: v.nullish(v.string()),
  duration_ms: DurationMs,
});
/** Only the built-in coordinator reads `reason`. An unknown reason counts as none. */
export const FailedReport = v.looseObject({
  runner_id: v.string(),
  error: v.string(),
  reason: v.fallback(v.nullish(FailureReason), null),
  duration_ms: DurationMs,
});
/** Only for the built-in coordinator: nothing of the run was done, and another machine may execute it. */
export const ReturnedReport = v.looseObject({ runner_id: v.string(), error: v.string() });
export const StoppedReport = v.looseObject({
  runner_id: v.string(),
  signal: v.nullish(v.string(), "SIGTERM"),
  duration_ms: DurationMs,
});

/** A runner in `GET /runners`. */
export const RunnerInfo = v.looseObject({
  runner_id: v.string(),
  registered_at: v.nullish(v.string(), null),
  last_heartbeat: v.nullish(v.string(), null),
  hostname: v.nullish(v.string(), null),
  project_dir: v.nullish(v.string(), null),
  executor_type: v.nullish(v.string(), null),
  executor_profile: v.nullish(v.string(), null),
  tags: v.nullish(v.array(v.string()), []),
  status: v.nullish(v.string(), null),
  seconds_since_heartbeat: v.nullish(v.number(), null),
  // Only the built-in coordinator sends the fields below.
  lost_in_seconds: v.nullish(v.number(), null),
  cannot_run: v.nullish(v.string(), null),
});
export type RunnerInfo = v.InferOutput<typeof RunnerInfo>;
export const RunnerList = v.looseObject({ runners: v.array(v.unknown()) });
