import { describeMs } from "../../async/describe-ms.ts";
import { type FailureReason, isTerminal } from "../../protocol/run.ts";
import type { Broadcast } from "../sessions/broadcast.ts";
import type { Callbacks } from "./callbacks.ts";
import type { ClaimGate } from "./claim-gate.ts";
import type { Claims } from "./claims.ts";
import { Refusal } from "../store/refusal.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { Retries } from "./retries.ts";
import type { RunAdoption } from "./run-adoption.ts";
import type { RunQueue } from "./run-queue.ts";
import type { RunRow } from "../store/run-row.ts";
import { canMove, move } from "./run-status.ts";
import type { Runners } from "../runners/runners.ts";
import type { Runs } from "./runs.ts";
import type { SessionRow, Sessions } from "../sessions/sessions.ts";
import { runMsOf, type Statistics } from "./statistics.ts";
import { isoTime, type Store } from "../store/store.ts";

/** How a run ended. `reason` goes with a failure, where it is known. */
export type Ending =
  | { readonly status: "completed" | "stopped" }
  | { readonly status: "failed"; readonly error: string; readonly reason: FailureReason | null };

const SESSION_STATUS_AFTER: Readonly<Record<Ending["status"], string>> = {
  completed: "finished",
  failed: "failed",
  stopped: "stopped",
};

const RUNNER_LEFT: Ending = {
  status: "failed",
  error: "The runner deregistered before it reported how the run ended",
  reason: "runner_lost",
};
const GIVEN_UP = {
  no_match: "No matching runner available within timeout",
  expired: "The run was not started within its time to live",
} as const;

export interface Parts {
  readonly store: Store;
  readonly runs: Runs;
  readonly runners: Runners;
  readonly sessions: Sessions;
  readonly claims: Claims;
  readonly queue: RunQueue;
  readonly retries: Retries;
  readonly statistics: Statistics;
  readonly callbacks: Callbacks;
  readonly waiters: PollWaiters;
  readonly broadcast: Broadcast;
  readonly gate: ClaimGate;
  readonly adoption: RunAdoption;
}

/** Everything that changes a run after its claim. */
export class RunTransitions {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Refuses: unregistered runner; unknown run; conflict if the run is another runner's or has ended. Idempotent. */
  started(runId: string, runnerId: string): void {
    const { store, sessions, callbacks } = this.#parts;
    store.write(() => {
      const run = this.#owned(runId, runnerId);
      if (run.status === "running" || (run.status === "stopping" && run.started_at !== null)) return;
      const now = isoTime();
      if (run.status === "stopping") this.#noteStart(run, now);
      else move(store, run, "running", { started_at: now });
      const earlierParent = sessions.find(run.session_id)?.parent_session_id ?? null;
      if (run.parent_session_id !== null) sessions.setParent(run.session_id, run.parent_session_id, run.execution_mode);
      sessions.update(run.session_id, {
        ...(run.status === "stopping" ? {} : { status: "running" }),
        ...(run.type === "resume_session" ? { last_resumed_at: now } : {}),
      });
      if (earlierParent !== null && earlierParent !== run.parent_session_id) callbacks.look(earlierParent);
    });
  }

  /** Records the runner's final report. Refuses as `started` does. Idempotent. */
  ended(runId: string, runnerId: string, ending: Ending): RunRow {
    return this.#parts.store.write(() => {
      const run = this.#owned(runId, runnerId);
      if (run.reason === "runner_lost" && isTerminal(run.status)) this.#noteLateReport(run, ending);
      else if (run.status !== ending.status) this.#end(run, ending);
      return run;
    });
  }

  /** Stops a run, or tells its runner to; of a retried run, the last attempt. Refuses: unknown; wrong-state if ended. */
  stop(runId: string): RunRow {
    const { store, runs } = this.#parts;
    return store.write(() => {
      let run = runs.get(runId);
      while (run.retried_by !== null) run = runs.get(run.retried_by);
      if (!canMove(run, "stopped")) throw new Refusal("wrong-state", `Run cannot be stopped: it is ${run.status}`);
      if (run.status !== "stopping") this.#stopOpen(run);
      return runs.get(run.run_id);
    });
  }

  /** Stops what is open in any of these sessions, in one step; those among them that wait to be told of it are stopped with them, and not woken. */
  stopSessions(sessionIds: readonly string[]): RunRow[] {
    const { store, runs, sessions, callbacks } = this.#parts;
    return store.write(() => {
      const open = sessionIds.filter((id) => runs.allOpenOf(id).length > 0);
      const waiting = this.#waitingFor(open, new Set(sessionIds));
      // First, so that no child's end wakes one of them.
      for (const id of waiting) sessions.update(id, { status: "stopped" });
      const stopped = open.map((id) => this.stopSession(id));
      for (const id of waiting) callbacks.sessionGivenUp(sessions.get(id));
      return stopped;
    });
  }

  /** Of `among`, those in which nothing is open and that are resumed when what is open below them has ended. */
  #waitingFor(open: readonly string[], among: ReadonlySet<string>): Set<string> {
    const { sessions } = this.#parts;
    const waiting = new Set<string>();
    const isOpen = new Set(open);
    for (const id of open) {
      for (
        let at = sessions.find(id);
        at?.execution_mode === "async_callback" && at.parent_session_id !== null && among.has(at.parent_session_id);
      ) {
        if (waiting.has(at.parent_session_id)) break;
        if (!isOpen.has(at.parent_session_id)) waiting.add(at.parent_session_id);
        at = sessions.find(at.parent_session_id);
      }
    }
    return waiting;
  }

  /** Stops all open runs of a session and returns the active one. Refuses: unknown; wrong-state without open runs. */
  stopSession(sessionId: string): RunRow {
    const { store, runs, sessions } = this.#parts;
    return store.write(() => {
      sessions.get(sessionId);
      const open = runs.allOpenOf(sessionId);
      const main = open.find((run) => run.status !== "pending") ?? open[0];
      if (!main) throw new Refusal("wrong-state", "Session has no run that could be stopped");
      // On purpose stopped, whatever it was before: set first, so that no callback wakes it between two of its runs.
      sessions.update(sessionId, { status: "stopped" });
      for (const run of open.filter((each) => each.status === "pending")) this.#stopOpen(run);
      if (main.status === "stopping") sessions.update(sessionId, { status: "stopping" });
      else if (main.status !== "pending") this.#stopOpen(main);
      return runs.get(main.run_id);
    });
  }

  /** Deletes a session and stops its open runs. Refuses: unknown. */
  deleteSession(sessionId: string): SessionRow {
    const { store, runs, sessions, callbacks } = this.#parts;
    return store.write(() => {
      const session = sessions.get(sessionId);
      if (runs.allOpenOf(sessionId).length > 0) this.stopSession(sessionId);
      sessions.delete(sessionId);
      callbacks.sessionGivenUp(session);
      return session;
    });
  }

  /**
   * Removes a runner. What it had not started goes back to the queue. What it runs ends if the runner itself said that it
   * goes; otherwise it may come back and report, until it is given up (`giveUpRunner`).
   */
  removeRunner(runnerId: string, byItself: boolean): void {
    const { store, runs, runners, claims, waiters, gate } = this.#parts;
    store.write(() => {
      runners.delete(runnerId);
      gate.forget(runnerId);
      for (const run of runs.activeOf(runnerId)) {
        if (run.status === "claimed") claims.release(run);
        else if (byItself) this.#end(run, run.status === "stopping" ? { status: "stopped" } : RUNNER_LEFT);
      }
      store.afterCommit(() => waiters.wake(runnerId));
    });
  }

  /** Gives a runner up that has been silent for `silenceMs`: fails what it was executing. Returns how many runs. */
  giveUpRunner(runnerId: string, silenceMs: number): number {
    const { store, runs } = this.#parts;
    return store.write(() => {
      const started = runs.activeOf(runnerId).filter((run) => run.status !== "claimed");
      for (const run of started) {
        const silence = `its runner was not heard of for ${describeMs(silenceMs)}`;
        const error = run.status === "stopping" ? `Not known whether it was stopped: ${silence}` : `Lost: ${silence}`;
        this.#end(run, { status: "failed", error, reason: "runner_lost" });
      }
      this.removeRunner(runnerId, false);
      return started.length;
    });
  }

  /** Takes back a claim whose lease ended without `started`. No-op if the run has moved on meanwhile. */
  leaseEnded(run: RunRow): void {
    this.#ifUnchanged(run, () => {
      if (run.status === "claimed") this.#parts.claims.release(run);
      // The runner never started this run, so no report will end it.
      else this.#end(run, { status: "stopped" });
    });
  }

  /** Fails a pending run that no runner took in time. No-op if the run has moved on meanwhile. */
  giveUp(run: RunRow, reason: "no_match" | "expired"): void {
    this.#ifUnchanged(run, () => this.#end(run, { status: "failed", error: GIVEN_UP[reason], reason }));
  }

  /** The sweep reads several runs at once: the end of one may change the next, such as by a claim. */
  #ifUnchanged(run: RunRow, change: () => void): void {
    const { store, runs } = this.#parts;
    store.write(() => {
      const now = runs.get(run.run_id);
      if (now.status === run.status && now.lease_until === run.lease_until) change();
    });
  }

  #owned(runId: string, runnerId: string): RunRow {
    const runner = this.#parts.runners.require(runnerId);
    const run = this.#parts.adoption.adoptForReport(this.#parts.runs.get(runId), runner);
    if (run.runner_id !== runnerId)
      throw new Refusal("conflict", `Run is not claimed by this runner: ${runId} is ${run.status}`);
    return run;
  }

  /** The run was given up, and its runner came back: the ending stays, what the runner tells is kept beside it. */
  #noteLateReport(run: RunRow, ending: Ending): void {
    // The report that made it so is repeated where its answer was lost.
    if (run.note !== null || (ending.status === "failed" && ending.reason === "runner_lost")) return;
    const told = ending.status === "failed" ? `failed: ${ending.error}` : ending.status;
    const note = `Its runner came back at ${isoTime()} and reported: ${told}`;
    this.#parts.store.db.query("UPDATE runs SET note = ? WHERE seq = ?").run(note, run.seq);
  }

  /** A stopping run that starts all the same stays stopping. */
  #noteStart(run: RunRow, startedAt: string): void {
    this.#parts.store.db
      .query("UPDATE runs SET started_at = ?, lease_until = NULL WHERE seq = ?")
      .run(startedAt, run.seq);
  }

  #stopOpen(run: RunRow): void {
    const { store, sessions, waiters } = this.#parts;
    const runnerId = run.runner_id;
    if (run.status === "pending" || runnerId === null) {
      this.#end(run, { status: "stopped" });
      return;
    }
    move(store, run, "stopping", {});
    sessions.update(run.session_id, { status: "stopping" });
    store.afterCommit(() => waiters.wake(runnerId));
  }

  #end(run: RunRow, ending: Ending): void {
    const { store, sessions, callbacks, queue, retries, statistics } = this.#parts;
    const { status } = ending;
    const { error, reason } = status === "failed" ? ending : { error: null, reason: null };
    const completedAt = isoTime();
    move(store, run, status, { error, reason, completed_at: completedAt });
    statistics.ended({ run, status, completedAt });
    // Somebody stopped it: no retry, whatever becomes of it.
    const next = run.status === "stopping" ? null : retries.next(run, reason);
    // A run that never began says nothing about a session that has been active before it.
    const sets = run.status !== "pending" || sessions.find(run.session_id)?.status === "pending";
    const sessionStatus = next === null ? SESSION_STATUS_AFTER[status] : "pending";
    if (sets) sessions.update(run.session_id, { status: sessionStatus }, { run_ms: runMsOf(run, completedAt) ?? 0 });
    this.#tellEnd(run, ending, next?.run_id ?? null);
    if (next !== null) return;
    callbacks.runEnded({ ...run, status, error });
    queue.advance(run.session_id);
  }

  /** The end of an attempt that is followed by another is no failure to those who look for failures. */
  #tellEnd({ run_id, session_id }: RunRow, ending: Ending, retriedBy: string | null): void {
    const { store, broadcast } = this.#parts;
    const { status } = ending;
    store.afterCommit(() => {
      if (status === "failed" && retriedBy === null)
        broadcast.send("run_failed", session_id, { run_id, error: ending.error, session_id });
      broadcast.send("run_ended", session_id, { run_id, session_id, status, retried_by: retriedBy });
    });
  }
}
