import { describeMs } from "../../async/describe-ms.ts";
import { isTerminal } from "../../protocol/run.ts";
import type { Callbacks } from "./callbacks.ts";
import type { ClaimGate } from "./claim-gate.ts";
import type { Claims } from "./claims.ts";
import type { Caller } from "../store/caller.ts";
import { Refusal } from "../store/refusal.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { RunAdoption } from "./run-adoption.ts";
import type { Ending, RunEndings } from "./run-endings.ts";
import type { RunRow } from "../store/run-row.ts";
import { canMove, move } from "./run-status.ts";
import type { Runners } from "../runners/runners.ts";
import type { Runs } from "./runs.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

const RUNNER_LEFT: Ending = {
  status: "failed",
  error: "The runner deregistered before it reported how the run ended",
  reason: "runner_lost",
};
const UNCLAIMED_ERROR = {
  no_match: "No matching runner available within timeout",
  expired: "The run was not started within its time to live",
} as const;

export interface TransitionParts {
  readonly store: Store;
  readonly runs: Runs;
  readonly runners: Runners;
  readonly sessions: Sessions;
  readonly claims: Claims;
  readonly endings: RunEndings;
  readonly callbacks: Callbacks;
  readonly waiters: PollWaiters;
  readonly gate: ClaimGate;
  readonly adoption: RunAdoption;
}

/** Every change of a run after its creation, except claims: reports, stops, time-outs, the loss of the runner. */
export class RunTransitions {
  readonly #parts: TransitionParts;

  constructor(parts: TransitionParts) {
    this.#parts = parts;
  }

  /**
   * Records the report `started`. Refuses: unregistered runner; unknown run; conflict if the run is another runner's or
   * has ended; unavailable while a runner that may have executed the run before a restore has not spoken. Idempotent.
   */
  async started(runId: string, runnerId: string): Promise<void> {
    const { store, gate, runs } = this.#parts;
    if (gate.isOpen) return this.executes(runId, runnerId);
    await store.write(async () => {
      const status = (await runs.find(runId))?.status;
      if (status === "claimed" || status === "pending")
        throw new Refusal("unavailable", "Not all known runners have said what they execute; try again in a moment");
      await this.executes(runId, runnerId);
    });
  }

  /** Call after a restore was noticed: a claim of the backup may have been another runner's since. */
  async releaseClaims(): Promise<void> {
    const { store, claims } = this.#parts;
    for (const run of await store.all<RunRow>("SELECT * FROM runs WHERE status = 'claimed'")) await claims.release(run);
  }

  /** Records that the runner executes the run. Refuses as `started` does, but for the runners that have not spoken. */
  async executes(runId: string, runnerId: string): Promise<void> {
    const { store, sessions, callbacks } = this.#parts;
    await store.write(async () => {
      await store.lockTreeOfRun(runId);
      const run = await this.#owned(runId, runnerId);
      if (run.status === "running" || (run.status === "stopping" && run.started_at !== null)) return;
      const now = isoTime();
      if (run.status === "stopping") await this.#noteStart(run, now);
      else await move(store, run, "running", { started_at: now });
      if (run.parent_session_id !== null) await store.lockTree(run.parent_session_id);
      const earlierParent = (await sessions.find(run.session_id))?.parent_session_id ?? null;
      if (run.parent_session_id !== null)
        await sessions.setParent(run.session_id, run.parent_session_id, run.execution_mode);
      await sessions.update(run.session_id, {
        ...(run.status === "stopping" ? {} : { status: "running" }),
        ...(run.type === "resume_session" ? { last_resumed_at: now } : {}),
      });
      if (earlierParent !== null && earlierParent !== run.parent_session_id)
        await callbacks.deliverUpwards(earlierParent);
    });
  }

  /** Records the runner's final report. Refuses as `started` does. Idempotent. */
  ended(runId: string, runnerId: string, ending: Ending): Promise<RunRow> {
    const { store } = this.#parts;
    return store.write(async () => {
      await store.lockTreeOfRun(runId);
      const run = await this.#owned(runId, runnerId);
      if (run.reason === "runner_lost" && isTerminal(run.status)) await this.#noteLateReport(run, ending);
      else if (run.status !== ending.status) await this.#parts.endings.end(run, ending);
      return run;
    });
  }

  /** Stops a run; if the run was retried, its last attempt. Refuses: unknown; wrong-state if the run has ended. */
  stop(runId: string, by: Caller): Promise<RunRow> {
    const { store, runs } = this.#parts;
    return store.write(async () => {
      await store.lockTreeOfRun(runId);
      let run = await runs.get(runId);
      while (run.retried_by !== null) run = await runs.get(run.retried_by);
      if (!canMove(run, "stopped")) throw new Refusal("wrong-state", `Run cannot be stopped: it is ${run.status}`);
      if (run.status !== "stopping") await this.#stopOpen(run, by);
      return runs.get(run.run_id);
    });
  }

  /** Stops all open runs of these sessions at once. Sessions that wait for callbacks of these runs stop too. */
  stopSessions(sessionIds: readonly string[], by: Caller): Promise<RunRow[]> {
    const { store, runs, sessions, callbacks } = this.#parts;
    return store.write(async () => {
      for (const id of sessionIds) await store.lockTree(id);
      const open: string[] = [];
      for (const id of sessionIds) if ((await runs.allOpenOf(id)).length > 0) open.push(id);
      const waiting = await this.#waitingAncestors(open, new Set(sessionIds));
      // First, so that the end of a child resumes none of them.
      for (const id of waiting) await sessions.update(id, { status: "stopped" });
      const stopped: RunRow[] = [];
      for (const id of open) stopped.push(await this.stopSession(id, by));
      for (const id of waiting) await callbacks.sessionStopped(await sessions.get(id));
      return stopped;
    });
  }

  /** The sessions of `among` that are idle and only wait for a descendant to end. */
  async #waitingAncestors(open: readonly string[], among: ReadonlySet<string>): Promise<Set<string>> {
    const { sessions } = this.#parts;
    const waiting = new Set<string>();
    const isOpen = new Set(open);
    for (const id of open) {
      for (
        let at = await sessions.find(id);
        at?.execution_mode === "async_callback" && at.parent_session_id !== null && among.has(at.parent_session_id);
      ) {
        if (waiting.has(at.parent_session_id)) break;
        if (!isOpen.has(at.parent_session_id)) waiting.add(at.parent_session_id);
        at = await sessions.find(at.parent_session_id);
      }
    }
    return waiting;
  }

  /** Stops all open runs of a session; returns the active or first run. Refuses: unknown; wrong-state if all ended. */
  stopSession(sessionId: string, by: Caller): Promise<RunRow> {
    const { store, runs, sessions } = this.#parts;
    return store.write(async () => {
      await store.lockTree(sessionId);
      await sessions.get(sessionId);
      const open = await runs.allOpenOf(sessionId);
      const main = open.find((run) => run.status !== "pending") ?? open[0];
      if (!main) throw new Refusal("wrong-state", "Session has no run that could be stopped");
      // First, so that no callback resumes the session between the ends of two runs.
      await sessions.update(sessionId, { status: "stopped" });
      for (const run of open.filter((each) => each.status === "pending")) await this.#stopOpen(run, by);
      if (main.status === "stopping") await sessions.update(sessionId, { status: "stopping" });
      else if (main.status !== "pending") await this.#stopOpen(main, by);
      return runs.get(main.run_id);
    });
  }

  /** Deletes a session and stops its open runs. Refuses: unknown. */
  deleteSession(
    sessionId: string,
    by: Caller,
  ): Promise<{ readonly session_id: string; readonly events_count: number }> {
    const { store, runs, sessions, callbacks } = this.#parts;
    return store.write(async () => {
      await store.lockTree(sessionId);
      const session = await sessions.get(sessionId);
      if ((await runs.allOpenOf(sessionId)).length > 0) await this.stopSession(sessionId, by);
      const events_count = await sessions.delete(sessionId);
      await callbacks.sessionStopped(session);
      return { session_id: session.session_id, events_count };
    });
  }

  /**
   * Removes a runner. Its claimed runs are released. Its other runs end if the runner deregistered itself; otherwise
   * the runner may return and report, until it is given up (`giveUpRunner`).
   */
  async removeRunner(runnerId: string, byItself: boolean): Promise<void> {
    const { store, runs, runners, claims, waiters, gate } = this.#parts;
    await store.write(async () => {
      await this.#lockTreesOf(runnerId);
      await runners.delete(runnerId);
      gate.forget(runnerId);
      for (const run of await runs.activeOf(runnerId)) {
        if (run.status === "claimed") await claims.release(run);
        else if (byItself)
          await this.#parts.endings.end(run, run.status === "stopping" ? { status: "stopped" } : RUNNER_LEFT);
      }
      store.afterCommit(() => waiters.wake(runnerId));
    });
  }

  /** Removes a runner that has been silent. "Deregistered" in its open poll would make it leave when it comes back. */
  async removeSilentRunner(runnerId: string): Promise<void> {
    const { store, waiters } = this.#parts;
    await store.write(async () => {
      store.afterCommit(() => waiters.supersede(runnerId));
      await this.removeRunner(runnerId, false);
    });
  }

  /** Gives up a runner that has been silent for `silenceMs`: fails the runs that it executes. Returns their number. */
  giveUpRunner(runnerId: string, silenceMs: number): Promise<number> {
    const { store, runs, endings } = this.#parts;
    return store.write(async () => {
      await this.#lockTreesOf(runnerId);
      const started = (await runs.activeOf(runnerId)).filter((run) => run.status !== "claimed");
      for (const run of started) {
        const silence = `its runner was not heard of for ${describeMs(silenceMs)}`;
        const error = run.status === "stopping" ? `Not known whether it was stopped: ${silence}` : `Lost: ${silence}`;
        await endings.end(run, { status: "failed", error, reason: "runner_lost" });
      }
      await this.removeSilentRunner(runnerId);
      return started.length;
    });
  }

  /** Call for a claim whose lease ended without `started`. No-op if the run has changed since it was read. */
  async leaseEnded(run: RunRow): Promise<void> {
    await this.#ifUnchanged(run, async () => {
      if (run.status === "claimed") await this.#parts.claims.release(run);
      // The run never started, so no report will end it.
      else await this.#parts.endings.end(run, { status: "stopped" });
    });
  }

  /** Fails a pending run that no runner claimed in time. No-op if the run has changed since it was read. */
  async failUnclaimed(run: RunRow, reason: "no_match" | "expired"): Promise<void> {
    await this.#ifUnchanged(run, () =>
      this.#parts.endings.end(run, { status: "failed", error: UNCLAIMED_ERROR[reason], reason }),
    );
  }

  /** The sweep reads several runs at once; the end of one may let a waiting poll claim the next. */
  async #ifUnchanged(run: RunRow, change: () => Promise<void>): Promise<void> {
    const { store, runs } = this.#parts;
    await store.write(async () => {
      await store.lockTree(run.session_id);
      const now = await runs.get(run.run_id);
      const isSame = (["status", "lease_until", "waiting_for", "timeout_at"] as const).every(
        (column) => now[column] === run[column],
      );
      if (isSame) await change();
    });
  }

  async #lockTreesOf(runnerId: string): Promise<void> {
    const { store, runs } = this.#parts;
    for (const run of await runs.activeOf(runnerId)) await store.lockTree(run.session_id);
  }

  async #owned(runId: string, runnerId: string): Promise<RunRow> {
    const runner = await this.#parts.runners.require(runnerId);
    const run = await this.#parts.adoption.adoptForReport(await this.#parts.runs.get(runId), runner);
    if (run.runner_id !== runnerId)
      throw new Refusal("conflict", `Run is not claimed by this runner: ${runId} is ${run.status}`);
    return run;
  }

  /** The run was given up and its runner came back: the ending stays, and a note keeps what the runner reports. */
  async #noteLateReport(run: RunRow, ending: Ending): Promise<void> {
    // The report that ended the run is repeated if its answer was lost.
    if (run.note !== null || (ending.status === "failed" && ending.reason === "runner_lost")) return;
    const told = ending.status === "failed" ? `failed: ${ending.error}` : ending.status;
    const note = `Its runner came back at ${isoTime()} and reported: ${told}`;
    await this.#parts.store.run("UPDATE runs SET note = ? WHERE seq = ?", note, run.seq);
  }

  /** A run that was stopped before `started` stays stopping. */
  async #noteStart(run: RunRow, startedAt: string): Promise<void> {
    await this.#parts.store.run("UPDATE runs SET started_at = ?, lease_until = NULL WHERE seq = ?", startedAt, run.seq);
  }

  async #stopOpen(run: RunRow, { name, address }: Caller): Promise<void> {
    const { store, sessions, waiters } = this.#parts;
    await store.run("UPDATE runs SET stopped_by = ?, stopped_from = ? WHERE seq = ?", name, address, run.seq);
    const runnerId = run.runner_id;
    if (run.status === "pending" || runnerId === null) {
      await this.#parts.endings.end(run, { status: "stopped" });
      return;
    }
    await move(store, run, "stopping", {});
    await sessions.update(run.session_id, { status: "stopping" });
    store.afterCommit(() => waiters.wake(runnerId));
  }
}
