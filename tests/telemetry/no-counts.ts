import type { CoordinatorCounts } from "../../src/coordinator/coordinator.ts";

/** The counts of an idle coordinator. */
export const NO_COUNTS: CoordinatorCounts = {
  runs: { pending: { time: 0, retry: 0, turn: 0, runner: 0 }, claimed: 0, running: 0, stopping: 0 },
  runners: { online: 0, stale: 0 },
  ended: { completed: 0, failed: 0, stopped: 0 },
  answers: { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 },
};
