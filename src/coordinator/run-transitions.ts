import type { RunStatus } from "../protocol/run.ts";
import type { Broadcast } from "./broadcast.ts";
import type { Callbacks } from "./callbacks.ts";
import type { Claims } from "./claims.ts";
import { HttpError } from "./http.ts";
import type { PollWaiters } from "./poll-waiters.ts";
import type { Runners } from "./runners.ts";
import type { RunRow, Runs } from "./runs.ts";
import type { SessionRow, Sessions } from "./sessions.ts";
import { isoTime, type Store } from "./store.ts";

/**
 * The life of a run. It is created pending; a poll claims it; its runner says `started` (running) and in the end how it
 * ended. A claim whose `started` never comes goes back to pending. Somebody may stop it: a pending run is stopped at once,
 * a claimed or running one is stopping until its runner has reported an end, whichever it was. An ended run never changes.
 */
const LEGAL: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  pending: ["claimed", "stopped", "failed"],
  claimed: ["running", "pending", "stopping", "completed", "failed", "stopped"],
  running: ["stopping", "completed", "failed", "stopped"],
  stopping: ["completed", "failed", "stopped"],
  completed: [],
  failed: [],
  stopped: [],
};

export type Ending = "completed" | "failed" | "stopped";
const SESSION_STATUS_AFTER: Readonly<Record<Ending, string>> = { completed: "finished", failed: "failed", stopped: "stopped" };

export interface Parts {
  readonly store: Store;
  readonly runs: Runs;
  readonly runners: Runners;
  readonly sessions: Sessions;
  readonly claims: Claims;
  readonly callbacks: Callbacks;
  readonly waiters: PollWaiters;
  readonly broadcast: Broadcast;
}

/** Everything that changes a run after its claim. */
export class RunTransitions {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** 401 unknown runner, 404 unknown run, 409 not this runner's run or not in a state to start. Repeating it is fine. */
  started(runId: string, runnerId: string): void {
    const { store, sessions, callbacks } = this.#parts;
    store.write(() => {
      const run = this.#owned(runId, runnerId);
      const isNews = run.status === "claimed" || (run.status === "stopping" && run.started_at === null);
      if (!isNews && run.status !== "running" && run.status !== "stopping") throw illegal(run, "running");
      if (!isNews) return;
      const now = isoTime();
      store.db
        .query("UPDATE runs SET status = ?, started_at = ?, lease_until = NULL WHERE seq = ?")
        .run(run.status === "stopping" ? "stopping" : "running", now, run.seq);
      const earlierParent = sessions.find(run.session_id)?.parent_session_id ?? null;
      if (run.parent_session_id !== null) sessions.setParent(run.session_id, run.parent_session_id, run.execution_mode);
      sessions.update(run.session_id, {
        ...(run.status === "stopping" ? {} : { status: "running" }),
        ...(run.type === "resume_session" ? { last_resumed_at: now } : {}),
      });
      if (earlierParent !== null && earlierParent !== run.parent_session_id) callbacks.look(earlierParent);
    });
  }

  /** The runner's last word on a run; `error` goes with `failed`. 401, 404, 409 as above. Repeating the same is fine. */
  ended(runId: string, runnerId: string, ending: Ending, error: string | null = null): RunRow {
    return this.#parts.store.write(() => {
      const run = this.#owned(runId, runnerId);
      if (run.status !== ending) this.#end(run, ending, error);
      return run;
    });
  }

  /** Stops a run, or asks its runner to. 404 unknown, 400 if it has ended. */
  stop(runId: string): RunRow {
    const { store, runs } = this.#parts;
    return store.write(() => {
      const run = runs.get(runId);
      if (!LEGAL[run.status].includes("stopped")) throw new HttpError(400, `Run cannot be stopped: it is ${run.status}`);
      if (run.status !== "stopping") this.#stopOpen(run);
      return runs.get(runId);
    });
  }

  /** Stops all of a session's open runs, also those that wait for their turn; the one that was under way is returned. 404, 400. */
  stopSession(sessionId: string): RunRow {
    const { store, runs, sessions } = this.#parts;
    return store.write(() => {
      sessions.get(sessionId);
      const open = runs.openOf(sessionId);
      const main = open.find((run) => run.status !== "pending") ?? open[0];
      if (!main) throw new HttpError(400, "Session has no run that could be stopped");
      // On purpose stopped, whatever it was before: set first, so that no callback wakes it between two of its runs.
      sessions.update(sessionId, { status: "stopped" });
      for (const run of open.filter((each) => each.status === "pending")) this.#stopOpen(run);
      if (main.status === "stopping") sessions.update(sessionId, { status: "stopping" });
      else if (main.status !== "pending") this.#stopOpen(main);
      return runs.get(main.run_id);
    });
  }

  /** Removes a session; what still runs in it is stopped. 404. */
  deleteSession(sessionId: string): SessionRow {
    const { store, runs, sessions, callbacks } = this.#parts;
    return store.write(() => {
      const session = sessions.get(sessionId);
      if (runs.openOf(sessionId).length > 0) this.stopSession(sessionId);
      sessions.delete(sessionId);
      callbacks.sessionDeleted(session);
      return session;
    });
  }

  /**
   * Removes a runner. What it had not started goes back to the queue; what it was to stop counts as stopped, since nobody
   * else will say so. What it runs is failed if the runner itself said that it goes; otherwise it may come back and report.
   */
  removeRunner(runnerId: string, byItself: boolean): void {
    const { store, runs, runners, claims, waiters } = this.#parts;
    store.write(() => {
      runners.delete(runnerId);
      for (const run of runs.activeOf(runnerId)) {
        if (run.status === "claimed") claims.release(run);
        else if (run.status === "stopping") this.#end(run, "stopped", null);
        else if (byItself) this.#end(run, "failed", "The runner deregistered before it reported how the run ended");
      }
      store.afterCommit(() => waiters.wake(runnerId));
    });
  }

  /** What time alone does to runs: leases and matching run out. */
  expire(): void {
    const { store, claims } = this.#parts;
    const now = isoTime();
    const due = (where: string): RunRow[] => store.db.query<RunRow, [string]>(`SELECT * FROM runs WHERE ${where}`).all(now);
    for (const run of due("lease_until IS NOT NULL AND lease_until < ?")) {
      store.write(() => {
        if (run.status === "claimed") claims.release(run);
        // It was to be stopped and has never begun: its runner has never heard of it.
        else this.#end(run, "stopped", null);
      });
    }
    for (const run of due("status = 'pending' AND timeout_at IS NOT NULL AND timeout_at < ?")) {
      // One that waits for its turn in its session has not been offered to anyone yet; its time begins then.
      if (this.#parts.runs.openOf(run.session_id)[0]?.seq !== run.seq) continue;
      store.write(() => this.#end(run, "failed", "No matching runner available within timeout"));
    }
  }

  #owned(runId: string, runnerId: string): RunRow {
    this.#parts.runners.require(runnerId);
    const run = this.#parts.runs.get(runId);
    if (run.runner_id !== runnerId) throw new HttpError(409, `Run is not claimed by this runner: ${runId} is ${run.status}`);
    return run;
  }

  #stopOpen(run: RunRow): void {
    const { store, sessions, runners, waiters } = this.#parts;
    const runnerId = run.runner_id;
    if (run.status === "pending" || runnerId === null || runners.find(runnerId) === null) {
      this.#end(run, "stopped", null);
      return;
    }
    store.db.query("UPDATE runs SET status = 'stopping' WHERE seq = ?").run(run.seq);
    sessions.update(run.session_id, { status: "stopping" });
    store.afterCommit(() => waiters.wake(runnerId));
  }

  #end(run: RunRow, ending: Ending, error: string | null): void {
    const { store, runs, sessions, callbacks, broadcast } = this.#parts;
    if (!LEGAL[run.status].includes(ending)) throw illegal(run, ending);
    store.db
      .query("UPDATE runs SET status = ?, error = ?, completed_at = ?, lease_until = NULL WHERE seq = ?")
      .run(ending, error, isoTime(), run.seq);
    // A run that never began says nothing about a session that has been active before it.
    const sets = run.status !== "pending" || sessions.find(run.session_id)?.status === "pending";
    if (sets) sessions.update(run.session_id, { status: SESSION_STATUS_AFTER[ending] });
    const { run_id, session_id } = run;
    if (ending === "failed") store.afterCommit(() => broadcast.send("run_failed", session_id, { run_id, error, session_id }));
    store.afterCommit(() => broadcast.send("run_ended", session_id, { run_id, session_id, status: ending }));
    callbacks.runEnded({ ...run, status: ending, error });
    runs.takeTurn(run.session_id);
  }
}

function illegal(run: RunRow, to: RunStatus): HttpError {
  return new HttpError(409, `Run cannot become ${to}: it is ${run.status}`);
}
