import { clip } from "../../errors.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { RunnerRow, Runners } from "../runners/runners.ts";
import type { RunRow } from "../store/run-row.ts";
import { isoTime, steadyTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import type { Claims } from "./claims.ts";
import type { RunEndings } from "./run-endings.ts";
import type { RunQueue } from "./run-queue.ts";
import type { Runs } from "./runs.ts";

export interface GiveBackParts {
  readonly store: Store;
  readonly runs: Runs;
  readonly runners: Runners;
  readonly claims: Claims;
  readonly queue: RunQueue;
  readonly endings: RunEndings;
  readonly waiters: PollWaiters;
}

/** The first return is free: another runner may take the run at once. Each further one doubles the pause. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;
const MAX_REASON = 500;

/** Takes back runs that a runner cannot execute on its machine. It costs no attempt; nothing was executed. */
export class GiveBack {
  readonly #parts: GiveBackParts;

  constructor(parts: GiveBackParts) {
    this.#parts = parts;
  }

  /**
   * Makes a claimed or running run pending again, at its old place. The reason stands in its `note`. A run that comes
   * back again and again waits longer each time, so it cannot bounce between runners. Idempotent. Refuses: unregistered
   * runner; unknown run; conflict if the run is another runner's.
   */
  returned(runId: string, runnerId: string, why: string): Promise<RunRow> {
    const { store, runs, runners, endings } = this.#parts;
    return store.write(async () => {
      await store.lockTreeOfRun(runId);
      const runner = await runners.require(runnerId);
      const run = await runs.get(runId);
      if (run.runner_id !== runnerId || (run.status !== "claimed" && run.status !== "running")) {
        // Somebody stopped the run meanwhile, and nothing of it executes.
        if (run.runner_id === runnerId && run.status === "stopping") await endings.end(run, { status: "stopped" });
        return run;
      }
      // Before the run is offered: the runner's open poll must not claim it again.
      store.afterCommit(() => this.#parts.waiters.supersede(runnerId));
      await this.#release(run, runner, why);
      return run;
    });
  }

  async #release(run: RunRow, runner: RunnerRow, why: string): Promise<void> {
    const { store, claims, queue } = this.#parts;
    const returns = run.returns + 1;
    const pauseMs = returns === 1 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (returns - 2), LONGEST_PAUSE_MS);
    const notBefore = steadyTime(pauseMs);
    await store.run(
      "UPDATE runs SET returns = ?, note = ?, avoid_runner = ?, not_before = ? WHERE seq = ?",
      returns,
      `Given back by ${runner.hostname} at ${isoTime()}: ${clip(why, MAX_REASON)}`,
      // A conversation is on one machine.
      run.type === "start_session" ? runner.runner_id : null,
      pauseMs === 0 ? run.not_before : notBefore,
      run.seq,
    );
    await claims.takeBack(run);
    if (pauseMs === 0) await queue.offer(run);
    else await queue.enterRetry({ ...run, not_before: notBefore });
  }
}
