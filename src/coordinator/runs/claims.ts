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
import { isoTime, steadyMs, steadyTime, type Store } from "../store/store.ts";

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
  claim(runner: RunnerRow): RunRow | null {
    if (!this.#isGateOpen()) return null;
    const { db } = this.#store;
    const offer = offerOf(runner);
    let best: Candidate | null = null;
    for (const { demands } of db.query<{ demands: string }, []>(DEMAND_CLASSES).all()) {
      if (!satisfies(offer, demandsOf({ demands: demands === "" ? null : demands }))) continue;
      const first = this.#firstFor(runner, demands);
      if (first !== null && (best === null || isBefore(first, best))) best = first;
    }
    return best === null ? null : this.giveTo({ seq: best.seq, status: "pending" }, runner);
  }

  #firstFor(runner: RunnerRow, demands: string): Candidate | null {
    const { db } = this.#store;
    const wanted = demandsOf({ demands: demands === "" ? null : demands });
    const only = this.#leavesResumes(runner, wanted) ? "AND type <> 'resume_session'" : "";
    const first = db.query<Candidate, [string]>(firstOfClass(only)).get(demands);
    if (first?.avoid_runner !== runner.runner_id) return first;
    if (!this.#waiters.isOtherWaiting(runner.runner_id, wanted, first.type)) return first;
    return db
      .query<Candidate, [string, string]>(firstOfClass(`${only} AND avoid_runner IS NOT ?`))
      .get(demands, runner.runner_id);
  }

  /**
   * A Python runner of the second generation fails every resume of a one-shot executor, and so every callback. It gets
   * one only if there is no other runner: its error is better than a wait without an end.
   */
  #leavesResumes({ generation }: RunnerRow, wanted: Demands | null): boolean {
    if (generation === "first") return false;
    return this.#store.db
      .query<RunnerRow, []>("SELECT * FROM runners WHERE generation = 'first' AND status = 'online'")
      .all()
      .some((other) => satisfies(offerOf(other), wanted));
  }

  /** Extends the leases of runs that the runner has received. Ignores runs of other runners. */
  renew(runnerId: string, runIds: readonly string[]): void {
    this.#store.write(() => {
      const renew = this.#store.db.query(
        "UPDATE runs SET lease_until = ? WHERE run_id = ? AND runner_id = ? AND lease_until IS NOT NULL",
      );
      for (const runId of runIds) renew.run(steadyTime(this.#leaseMs), runId, runnerId);
    });
  }

  /** Call after a restart: while the coordinator was down, no runner could report or claim. */
  renewAll(noMatchTimeoutMs: number): void {
    this.#store.write(() => {
      this.#store.db
        .query("UPDATE runs SET lease_until = ? WHERE lease_until IS NOT NULL")
        .run(steadyTime(this.#leaseMs));
      this.#store.db
        .query("UPDATE runs SET timeout_at = ? WHERE waiting_for = 'runner' AND timeout_at IS NOT NULL")
        .run(steadyTime(noMatchTimeoutMs));
    });
  }

  /** Takes back a claim: the run is pending again at its old place, and its session has its old status. */
  release(run: RunRow): void {
    this.#store.write(() => {
      this.takeBack(run);
      this.#queue.offer(run);
    });
  }

  /** As `release`, but the caller queues the run. Call in a transaction. */
  takeBack(run: RunRow): void {
    move(this.#store, run, "pending", {});
    if (this.#sessions.find(run.session_id)?.status === "running") {
      this.#sessions.update(run.session_id, { status: run.session_status_before ?? "pending" });
    }
  }

  /** Claims this pending run for the runner. */
  giveTo(pending: Pick<RunRow, "seq" | "status">, runner: RunnerRow): RunRow {
    return this.#store.write(() => {
      move(this.#store, pending, "claimed", {
        runner_id: runner.runner_id,
        claimed_by: runner.token_name,
        claimed_at: isoTime(),
        lease_until: steadyTime(this.#leaseMs),
      });
      const run = this.#store.db.query<RunRow, [number]>("SELECT * FROM runs WHERE seq = ?").get(pending.seq);
      if (run === null) throw new Error(`The claimed run ${pending.seq} is gone`);
      this.#deadlines.expect(steadyMs() + this.#leaseMs);
      this.#sessions.update(run.session_id, { status: "running" });
      return run;
    });
  }
}

function isBefore(a: Candidate, b: Candidate): boolean {
  return a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority;
}
