import * as v from "valibot";
import { isReady, type RunnerStatus } from "../runner/runner-status.ts";
import { commit, version } from "../version.ts";
import { shownUrl } from "../protocol/shown-url.ts";

/** The properties of the program that never change. */
export interface Identity {
  readonly command: "runner" | "up" | "coordinator";
  readonly coordinatorUrl: string;
  readonly executor: string | null;
  readonly projectDir: string | null;
  readonly tags: readonly string[];
}

/** Body of `/status.json`. Times are ISO 8601, ages are in seconds. Contains no prompt, error text or credential. */
export const Status = v.object({
  version: v.string(),
  commit: v.string(),
  pid: v.number(),
  started_at: v.string(),
  command: v.picklist(["runner", "up", "coordinator"]),
  coordinator_url: v.string(),
  executor: v.nullable(v.string()),
  project_dir: v.nullable(v.string()),
  tags: v.array(v.string()),
  ready: v.boolean(),
  /** Null in a program without a runner. */
  runner: v.nullable(
    v.object({
      state: v.picklist(["starting", "online", "draining", "stopping", "left"]),
      runner_id: v.nullable(v.string()),
      coordinator_up: v.boolean(),
      seconds_since_answer: v.nullable(v.number()),
      has_room: v.boolean(),
      /** Why the machine takes no more runs; null if it does. */
      cannot_run: v.nullable(v.string()),
      runs: v.array(
        v.object({
          run_id: v.string(),
          session_id: v.string(),
          state: v.picklist(["queued", "starting", "running", "reporting", "ended"]),
          age_seconds: v.number(),
        }),
      ),
    }),
  ),
});
export type Status = v.InferOutput<typeof Status>;

/** `runner` is null in a program without one. */
export function statusOf(identity: Identity, runner: RunnerStatus | null, startedAtMs: number): Status {
  return {
    version,
    commit,
    pid: process.pid,
    started_at: new Date(startedAtMs).toISOString(),
    command: identity.command,
    coordinator_url: shownUrl(identity.coordinatorUrl),
    executor: identity.executor,
    project_dir: identity.projectDir,
    tags: [...identity.tags],
    ready: runner === null || isReady(runner),
    runner: runner === null ? null : runnerOf(runner),
  };
}

function runnerOf(status: RunnerStatus): NonNullable<Status["runner"]> {
  return {
    state: status.state,
    runner_id: status.runnerId,
    coordinator_up: status.isCoordinatorUp,
    seconds_since_answer: status.lastAnswerAtMs === null ? null : seconds(performance.now() - status.lastAnswerAtMs),
    has_room: status.fault === null,
    cannot_run: status.fault,
    runs: status.runs.map((run) => ({
      run_id: run.runId,
      session_id: run.sessionId,
      state: run.state,
      age_seconds: seconds(run.ageMs),
    })),
  };
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
