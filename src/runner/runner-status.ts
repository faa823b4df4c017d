import type { ActiveRun } from "./runs/active-run.ts";
import type { RunnerState } from "./runner-state.ts";

/** What a runner is at, as of now. */
export interface RunnerStatus {
  readonly state: RunnerState;
  /** Null where it is not registered. */
  readonly runnerId: string | null;
  /** The last call to the coordinator was answered. */
  readonly isCoordinatorUp: boolean;
  /** `performance.now()` of the last answer of the coordinator's; null before the first. */
  readonly lastAnswerAtMs: number | null;
  /** `performance.now()` of the last call to it that came to an end, answered or not; null before the first. */
  readonly lastCallAtMs: number | null;
  readonly heartbeatIntervalMs: number;
  /** False where the machine has no room for more runs. */
  readonly hasRoom: boolean;
  readonly runs: readonly ActiveRun[];
}

/** Runs are being polled for. (One that has as many as it may have is ready too: it is at work.) */
export function isReady({ state, runnerId, isCoordinatorUp }: RunnerStatus): boolean {
  return state === "online" && runnerId !== null && isCoordinatorUp;
}
