import * as v from "valibot";
import { RunId } from "./identifiers.ts";
import { FailureReason } from "./run.ts";

const nonEmpty = v.pipe(v.string(), v.minLength(1));

/** Body of `POST /runner/register`: the superset that both generations accept (`docs/protocol.md`, section 15). */
export const Register = v.looseObject({
  hostname: nonEmpty,
  project_dir: nonEmpty,
  executor_type: v.nullish(nonEmpty),
  executor_profile: v.nullish(nonEmpty),
  tags: v.nullish(v.array(v.string())),
});
export type Register = v.InferOutput<typeof Register>;

const seconds = v.nullish(v.pipe(v.number(), v.minValue(0.1), v.maxValue(3600)));
const registration = {
  runner_id: v.pipe(v.string(), v.regex(/^[\w.:-]{1,200}$/, "not a runner id")),
  poll_timeout_seconds: seconds,
  heartbeat_interval_seconds: seconds,
  capabilities: v.nullish(v.array(v.string()), []),
};

/**
 * Answer of `POST /runner/register`. Only the built-in coordinator sends `capabilities`. "capacity": a poll accepts
 * `capacity=0` (stops only). "output": a poll accepts `output=1` (the runner shows output).
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
  }),
});
export type DuplicateRunner = v.InferOutput<typeof DuplicateRunner>["detail"];

/**
 * Body of `POST /runner/heartbeat`. Only the built-in coordinator reads `claimed_run_ids`: they renew the leases of
 * runs that are claimed and not started.
 */
export const Heartbeat = v.object({ runner_id: v.string(), claimed_run_ids: v.nullish(v.array(RunId)) });

/** Bodies of `POST /runner/runs/{id}/started|completed|failed|stopped` (`docs/protocol.md`, section 5). */
export const StartedReport = v.looseObject({ runner_id: v.string() });
export const CompletedReport = v.looseObject({
  runner_id: v.string(),
  status: v.nullish(v.string(), "success"),
  session_status: v.nullish(v.string()),
});
/** Only the built-in coordinator reads `reason`. An unknown reason counts as none. */
export const FailedReport = v.looseObject({
  runner_id: v.string(),
  error: v.string(),
  reason: v.fallback(v.nullish(FailureReason), null),
});
export const StoppedReport = v.looseObject({ runner_id: v.string(), signal: v.nullish(v.string(), "SIGTERM") });

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
});
export type RunnerInfo = v.InferOutput<typeof RunnerInfo>;
export const RunnerList = v.looseObject({ runners: v.array(v.unknown()) });
