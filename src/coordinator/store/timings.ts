/** Every timing of the coordinator. Tests shorten them; the program uses the defaults. */
export interface CoordinatorTimings {
  /** How long a poll stays open before it is answered with nothing. */
  readonly pollTimeoutMs: number;
  /** The lease: a claimed run without `started` or renewal goes back to pending after this long. */
  readonly claimLeaseMs: number;
  /** A run with demands fails if no runner could claim it for this long. */
  readonly noMatchTimeoutMs: number;
  /** A runner without a heartbeat for this long is stale: another process may register its identity. */
  readonly staleAfterMs: number;
  /** A runner without a heartbeat for this long is removed. */
  readonly removeAfterMs: number;
  /** A runner without any call for this long is given up: the runs that it executes fail with `runner_lost`. */
  readonly lostAfterMs: number;
  /** How long a start gives out no run while known runners have not said what they hold. */
  readonly startGateMs: number;
  readonly sseHeartbeatMs: number;
  /** Sent to runners, in seconds like the wire format. */
  readonly heartbeatIntervalSeconds: number;
  /** A delivered stop is delivered again after this long, until the runner reports the end of the run. */
  readonly stopRedeliveryMs: number;
  /** How long a runner may take to send the output of a run. */
  readonly outputTimeoutMs: number;
  /** The interval of the housekeeping. */
  readonly housekeepingEveryMs: number;
  /**
   * An idle connection is closed after this many seconds; polls and streams are exempt. Proxies keep idle connections
   * for 60 s, and a server that closes earlier makes them answer 502 now and then.
   */
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
    capabilities: ["capacity", "output", "reconcile", "return"],
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
  idleTimeoutSeconds: 90,
};
