/*
 * A small model of one run between one coordinator and two runners, for exploring every order of events up to a depth.
 *
 * It models what `src/coordinator/runs/` and `src/runner/` decide, not how: claims and leases, `started` before the
 * spawn, the journal, reports, stops, reconciliation, giving up, instance ids, and a database that is restored from a
 * backup. Messages may be late, lost and repeated; a runner may be killed, killed with its machine, or lose its state
 * folder; a coordinator may be restored to an earlier state.
 */

export const RUNNERS = [0, 1] as const;
export type RunnerIndex = (typeof RUNNERS)[number];

export type RunStatus = "pending" | "claimed" | "running" | "stopping" | "completed" | "stopped" | "lost";
export const ENDED: readonly RunStatus[] = ["completed", "stopped", "lost"];

/** What the coordinator's database says. A backup is a copy of it. */
export interface Database {
  readonly status: RunStatus;
  readonly owner: RunnerIndex | null;
  readonly isStarted: boolean;
  /** The instance of each runner that is registered. */
  readonly instances: readonly number[];
  /** Which process of the coordinator has the database: another one after a restore. */
  readonly epoch: number;
  /** While not empty, no run is claimed: these runners have not said yet what they did before the restore. */
  readonly awaited: readonly RunnerIndex[];
}

/** What a runner process remembers of the run. `asked`: its report `started` is not acknowledged. */
export type Memory = "nothing" | "taken" | "asked" | "executing" | "reporting" | "done";
export type Outcome = "completed" | "stopped";

export interface Runner {
  readonly isUp: boolean;
  readonly instance: number;
  readonly memory: Memory;
  /** The outcome that `reporting` or `done` is about. */
  readonly outcome: Outcome | null;
  /** Survives a kill; a wiped state folder begins with `nothing`. `begun` from before `started` to the outcome. */
  readonly journal: "nothing" | "begun" | Outcome;
  readonly executor: "none" | "alive" | "ended";
  readonly isToStop: boolean;
  /** The coordinator's epoch, as far as it knows. */
  readonly epoch: number;
}

export type Message =
  | { readonly kind: "run"; readonly to: RunnerIndex; readonly instance: number }
  | { readonly kind: "started"; readonly from: RunnerIndex; readonly instance: number }
  | {
      readonly kind: "start-answer";
      readonly to: RunnerIndex;
      readonly instance: number;
      readonly isOwn: boolean;
    }
  | { readonly kind: "report"; readonly from: RunnerIndex; readonly instance: number; readonly outcome: Outcome }
  | { readonly kind: "report-answer"; readonly to: RunnerIndex; readonly instance: number }
  | {
      readonly kind: "held";
      readonly from: RunnerIndex;
      readonly instance: number;
      readonly memory: Memory;
      /** That of the coordinator's last answer: a word from before a restore does not count after it. */
      readonly epoch: number;
    }
  | {
      readonly kind: "view";
      readonly to: RunnerIndex;
      readonly instance: number;
      /** The coordinator's word on the run, if it is this runner's or this runner said that it holds it. */
      readonly status: RunStatus | "not-yours" | "nothing";
      /** Asked of a run that is nobody's: does the journal know an outcome? */
      readonly isAsked: boolean;
      readonly epoch: number;
    }
  | { readonly kind: "unknown"; readonly from: RunnerIndex; readonly instance: number }
  | { readonly kind: "stop"; readonly to: RunnerIndex; readonly instance: number };

/** How many faults of each kind are left to happen. */
export interface Faults {
  readonly kill: number;
  readonly wipe: number;
  readonly restore: number;
  readonly lose: number;
  readonly repeat: number;
  readonly lease: number;
  readonly giveUp: number;
  readonly stop: number;
}

export interface World {
  readonly database: Database;
  readonly backup: Database | null;
  readonly runners: readonly [Runner, Runner];
  readonly messages: readonly Message[];
  readonly faults: Faults;
  /** How often an executor was started for the run. */
  readonly spawns: number;
  /** Whether an executor came to its own end. */
  readonly wasExecuted: boolean;
  readonly wasRestored: boolean;
}
