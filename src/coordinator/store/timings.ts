/** Every waiting time of the coordinator. Tests shorten them; the program uses the defaults. */
export interface CoordinatorTimings {
  /** How long a poll is held open before it is answered with 204. */
  readonly pollTimeoutMs: number;
  /** A claimed run whose `started` (or lease renewal) does not come for this long goes back to pending. */
  readonly claimLeaseMs: number;
  /** A run with demands that no runner could take for this long fails. */
  readonly noMatchTimeoutMs: number;
  /** A runner without a heartbeat for this long is stale: its identity may be registered again. */
  readonly staleAfterMs: number;
  /** A runner without a heartbeat for this long is removed. */
  readonly removeAfterMs: number;
  /** A runner without any call for this long is given up: the runs that it executes fail with `runner_lost`. */
  readonly lostAfterMs: number;
  /** How long a start gives out no run while known runners have not said what they hold. */
  readonly startGateMs: number;
  readonly sseHeartbeatMs: number;
  /** What the answer to a registration asks of the runner; seconds, because the wire says seconds. */
  readonly heartbeatIntervalSeconds: number;
  /** A stop that was handed out is repeated after this long, until the run's end is reported. */
  readonly stopRedeliveryMs: number;
  /** How long a runner may take to show the output of a run. */
  readonly outputTimeoutMs: number;
  /** What ended longer ago than is kept is looked for so often. */
  readonly housekeepingEveryMs: number;
  /** A connection with nothing under way is cut after this many seconds; polls and streams are not. */
  readonly idleTimeoutSeconds: number;
}

/** Sent in the answer to `register`, and with its conflict so that a restarted runner can reuse its id. */
export interface Terms {
  readonly poll_timeout_seconds: number;
  readonly heartbeat_interval_seconds: number;
  readonly capabilities: readonly string[];
  readonly keep_outcomes_seconds: number;
}

/** Two weeks: a backup that is restored is rarely older. */
const KEEP_OUTCOMES_SECONDS = 14 * 86_400;

export function termsOf({ pollTimeoutMs, heartbeatIntervalSeconds }: CoordinatorTimings): Terms {
  return {
    poll_timeout_seconds: pollTimeoutMs / 1_000,
    heartbeat_interval_seconds: heartbeatIntervalSeconds,
    capabilities: ["capacity", "output", "reconcile"],
    keep_outcomes_seconds: KEEP_OUTCOMES_SECONDS,
  };
}

export const DEFAULT_TIMINGS: CoordinatorTimings = {
  pollTimeoutMs: 30_000,
  claimLeaseMs: 150_000,
  noMatchTimeoutMs: 300_000,
  staleAfterMs: 120_000,
  removeAfterMs: 600_000,
  lostAfterMs: 900_000,
  startGateMs: 30_000,
  sseHeartbeatMs: 30_000,
  heartbeatIntervalSeconds: 60,
  stopRedeliveryMs: 2_000,
  outputTimeoutMs: 5_000,
  housekeepingEveryMs: 3_600_000,
  idleTimeoutSeconds: 30,
};
