import * as v from "valibot";
import { RunId } from "./identifiers.ts";

const nonEmpty = v.pipe(v.string(), v.minLength(1));

/** Body of `POST /runner/register`: the superset that both generations accept (protocol, section 15). */
export const Register = v.looseObject({
  hostname: nonEmpty,
  project_dir: nonEmpty,
  executor_type: v.nullish(nonEmpty),
  executor_profile: v.nullish(nonEmpty),
  tags: v.nullish(v.array(v.string())),
});
export type Register = v.InferOutput<typeof Register>;

/** Answer of `POST /runner/register`. `capabilities` is ours: "capacity" says that a poll takes `capacity=0` (stops only). */
export const Registered = v.looseObject({
  runner_id: v.pipe(v.string(), v.regex(/^[\w.:-]{1,200}$/, "not a runner id")),
  poll_timeout_seconds: v.nullish(v.pipe(v.number(), v.minValue(0.1), v.maxValue(3600))),
  heartbeat_interval_seconds: v.nullish(v.pipe(v.number(), v.minValue(0.1), v.maxValue(3600))),
  capabilities: v.nullish(v.array(v.string()), []),
});
export type Registered = v.InferOutput<typeof Registered>;

/** `detail` of a 409 to `POST /runner/register`. */
export const DuplicateRunner = v.looseObject({
  detail: v.looseObject({
    error: v.string(),
    message: v.nullish(v.string(), ""),
    runner_id: v.nullish(v.string(), null),
    hostname: v.nullish(v.string(), null),
  }),
});

/** Body of `POST /runner/heartbeat`; `claimed_run_ids` is ours: it renews the leases of runs that are claimed and not started yet. */
export const Heartbeat = v.object({ runner_id: v.string(), claimed_run_ids: v.nullish(v.array(RunId)) });

/** Bodies of `POST /runner/runs/{id}/started|completed|failed|stopped` (protocol, section 5). */
export const StartedReport = v.looseObject({ runner_id: v.string() });
export const CompletedReport = v.looseObject({
  runner_id: v.string(),
  status: v.nullish(v.string(), "success"),
  session_status: v.nullish(v.string()),
});
export const FailedReport = v.looseObject({ runner_id: v.string(), error: v.string() });
export const StoppedReport = v.looseObject({ runner_id: v.string(), signal: v.nullish(v.string(), "SIGTERM") });

/** A runner as `GET /runners` shows it. */
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
