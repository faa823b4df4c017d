import type { ActiveRun } from "./runs/active-run.ts";
import type { RunnerState } from "./runner-state.ts";

/** The current status of a runner, for metrics, systemd's watchdog and the HTTP status. */
export interface RunnerStatus {
  readonly state: RunnerState;
  /** Null while the runner is not registered. */
  readonly runnerId: string | null;
  /** The coordinator answered the last call. */
  readonly isCoordinatorUp: boolean;
  /** `performance.now()` at the coordinator's last answer; null before the first. */
  readonly lastAnswerAtMs: number | null;
  /** `performance.now()` at the last end of a call, answered or not; null before the first. */
  readonly lastCallAtMs: number | null;
  readonly heartbeatIntervalMs: number;
  /** Why this machine takes no more runs: no room, or it cannot run the executor. Null if it takes them. */
  readonly fault: string | null;
  readonly runs: readonly ActiveRun[];
}

/** Whether the runner polls for runs. A runner without a free slot counts as ready too. */
export function isReady({ state, runnerId, isCoordinatorUp }: RunnerStatus): boolean {
  return state === "online" && runnerId !== null && isCoordinatorUp;
}
