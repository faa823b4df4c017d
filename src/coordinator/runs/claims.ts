import type { Deadlines } from "../store/deadlines.ts";
import type { Demands } from "../../protocol/run.ts";
import { satisfies } from "../runners/demands.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { RunQueue } from "./run-queue.ts";
import { move } from "./run-status.ts";
import { demandsOf, type RunRow } from "../store/run-row.ts";
import { offerOf, type RunnerRow } from "../runners/runners.ts";
import { DEMAND_CLASS } from "../store/schema.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { isoTime, steadyMs, steadyTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/** The distinct demands of the runs that wait for a runner. Jumps from one value to the next in the index. */
const DEMAND_CLASSES = `
  WITH RECURSIVE classes(demands) AS (
    SELECT min(${DEMAND_CLASS}) FROM runs WHERE waiting_for = 'runner'
    UNION ALL
    SELECT (SELECT min(${DEMAND_CLASS}) FROM runs WHERE waiting_for = 'runner' AND ${DEMAND_CLASS} > classes.demands)
    FROM classes WHERE classes.demands IS NOT NULL
  )
  SELECT demands FROM classes WHERE demands IS NOT NULL`;

/** The first run with these demands, and the condition. */
const firstOfClass = (condition = ""): string => `
  SELECT seq, priority, avoid_runner, type FROM runs INDEXED BY runs_for_runners
  WHERE waiting_for = 'runner' AND ${DEMAND_CLASS} = ? ${condition}
  ORDER BY priority DESC, seq LIMIT 1`;

const RENEW = "UPDATE runs SET lease_until = ? WHERE run_id = ? AND runner_id = ? AND lease_until IS NOT NULL";

interface Candidate {
  readonly seq: number;
  readonly priority: number;
  readonly avoid_runner: string | null;
  readonly type: string;
}

/** Gives runs to runners. A claim has a lease until the runner reports `started`. */
export class Claims {
  readonly #store: Store;
  readonly #queue: RunQueue;
  readonly #sessions: Sessions;
  readonly #deadlines: Deadlines;
  readonly #leaseMs: number;
  readonly #waiters: Pick<PollWaiters, "isOtherWaiting">;
  /** While it is false no run is given out. */
  readonly #isGateOpen: () => boolean;

  constructor(
    store: Store,
    queue: RunQueue,
    sessions: Sessions,
    deadlines: Deadlines,
    leaseMs: number,
    waiters: Pick<PollWaiters, "isOtherWaiting">,
    isGateOpen: () => boolean = () => true,
  ) {
    this.#waiters = waiters;
    this.#isGateOpen = isGateOpen;
    this.#store = store;
    this.#queue = queue;
    this.#sessions = sessions;
    this.#deadlines = deadlines;
    this.#leaseMs = leaseMs;
  }

  /** Claims the run with the highest priority, then the oldest, among those that the runner satisfies. */
  claim(runner: RunnerRow): Promise<RunRow | null> {
    return this.#store.write(() => this.#claimBest(runner));
  }

  async #claimBest(runner: RunnerRow): Promise<RunRow | null> {
    if (!this.#isGateOpen()) return null;
    const offer = offerOf(runner);
    let best: Candidate | null = null;
    for (const { demands } of await this.#store.all<{ demands: string }>(DEMAND_CLASSES)) {
      if (!satisfies(offer, demandsOf({ demands: demands === "" ? null : demands }))) continue;
      const first = await this.#firstFor(runner, demands);
      if (first !== null && (best === null || isBefore(first, best))) best = first;
    }
    return best === null ? null : this.giveTo({ seq: best.seq, status: "pending" }, runner);
  }

  async #firstFor(runner: RunnerRow, demands: string): Promise<Candidate | null> {
    const wanted = demandsOf({ demands: demands === "" ? null : demands });
    const only = (await this.#leavesResumes(runner, wanted)) ? "AND type <> 'resume_session'" : "";
    const first = await this.#store.get<Candidate>(firstOfClass(only), demands);
    if (first?.avoid_runner !== runner.runner_id) return first;
    if (!this.#waiters.isOtherWaiting(runner.runner_id, wanted, first.type)) return first;
    return this.#store.get<Candidate>(
      firstOfClass(`${only} AND (avoid_runner IS NULL OR avoid_runner <> ?)`),
      demands,
      runner.runner_id,
    );
  }

  /**
   * A Python runner of the second generation fails every resume of a one-shot executor, and so every callback. It gets
   * one only if there is no other runner: its error is better than a wait without an end.
   */
  async #leavesResumes({ generation }: RunnerRow, wanted: Demands | null): Promise<boolean> {
    if (generation === "first") return false;
    const others = await this.#store.all<RunnerRow>(
      "SELECT * FROM runners WHERE generation = 'first' AND status = 'online'",
    );
    return others.some((other) => satisfies(offerOf(other), wanted));
  }

  /** Extends the leases of runs that the runner has received. Ignores runs of other runners. */
  async renew(runnerId: string, runIds: readonly string[]): Promise<void> {
    await this.#store.write(async () => {
      for (const runId of runIds) await this.#store.run(RENEW, steadyTime(this.#leaseMs), runId, runnerId);
    });
  }

  /** Call after a restart: while the coordinator was down, no runner could report or claim. */
  async renewAll(noMatchTimeoutMs: number): Promise<void> {
    await this.#store.write(async () => {
      await this.#store.run("UPDATE runs SET lease_until = ? WHERE lease_until IS NOT NULL", steadyTime(this.#leaseMs));
      await this.#store.run(
        "UPDATE runs SET timeout_at = ? WHERE waiting_for = 'runner' AND timeout_at IS NOT NULL",
        steadyTime(noMatchTimeoutMs),
      );
    });
  }

  /** Takes back a claim that no answer carries to its runner. No-op if the run has changed since. */
  async takeBackUnread(claimed: RunRow): Promise<void> {
    await this.#store.write(async () => {
      await this.#store.lockTree(claimed.session_id);
      const run = await this.#store.get<RunRow>("SELECT * FROM runs WHERE seq = ?", claimed.seq);
      if (run?.status === "claimed" && run.runner_id === claimed.runner_id && run.claimed_at === claimed.claimed_at)
        await this.release(run);
    });
  }

  /** Takes back a claim: the run is pending again at its old place, and its session has its old status. */
  async release(run: RunRow): Promise<void> {
    await this.#store.write(async () => {
      await this.#store.lockTree(run.session_id);
      await this.takeBack(run);
      await this.#queue.offer(run);
    });
  }

  /** As `release`, but the caller queues the run. Call in a transaction. */
  async takeBack(run: RunRow): Promise<void> {
    await move(this.#store, run, "pending", {});
    if ((await this.#sessions.find(run.session_id))?.status === "running") {
      await this.#sessions.update(run.session_id, { status: run.session_status_before ?? "pending" });
    }
  }

  /** Claims this pending run for the runner. */
  giveTo(pending: Pick<RunRow, "seq" | "status">, runner: RunnerRow): Promise<RunRow> {
    return this.#store.write(async () => {
      await move(this.#store, pending, "claimed", {
        runner_id: runner.runner_id,
        claimed_by: runner.token_name,
        claimed_at: isoTime(),
        lease_until: steadyTime(this.#leaseMs),
      });
      const run = await this.#store.get<RunRow>("SELECT * FROM runs WHERE seq = ?", pending.seq);
      if (run === null) throw new Error(`The claimed run ${pending.seq} is gone`);
      this.#deadlines.expect(steadyMs() + this.#leaseMs);
      await this.#sessions.update(run.session_id, { status: "running" });
      return run;
    });
  }
}

function isBefore(a: Candidate, b: Candidate): boolean {
  return a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority;
}
