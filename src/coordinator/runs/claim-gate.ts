import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Heartbeat } from "../../protocol/runner.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { Runners } from "../runners/runners.ts";
import type { History } from "../store/history.ts";
import { SET_COUNTER } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

export interface ClaimGateParts {
  readonly store: Store;
  readonly history: History;
  readonly runners: Runners;
  readonly waiters: PollWaiters;
  readonly log: Log;
  /** How long a start waits for the runners that it knows. */
  readonly startMs: number;
  /** How long it waits for them once a restored backup was noticed. */
  readonly restoredMs: number;
}

const RESTORED = "restored";

/** Why no run is given out, as `GET /health` shows it. */
export interface ClaimsWait {
  readonly reason: "started" | "restored";
  /** How many runners have not said yet what they hold. */
  readonly runners: number;
  /** The wait ends without them then. */
  readonly at_most_seconds: number;
}

/**
 * Gives out no run after a start until the known runners have said what they hold. A database that was restored from a
 * backup shows runs as pending that a runner executes, or has executed: giving one out again would execute it twice.
 *
 * A runner that has seen a later state proves a restore (`History`). Then each known runner is also asked for the
 * outcomes of the runs that look open here.
 */
export class ClaimGate implements Disposable {
  readonly #parts: ClaimGateParts;
  /** The runners that have not said yet what they hold. */
  readonly #awaited = new Set<string>();
  /** The runners that have answered what they were asked after a restore. */
  readonly #answered = new Set<string>();
  #isRestored: boolean;
  /** Whether the database knows that it was restored. A transaction that notices it may be done again. */
  #isRecorded: boolean;
  #timer: Timer | undefined;
  #untilMs = 0;

  private constructor(parts: ClaimGateParts, isRestored: boolean) {
    this.#parts = parts;
    this.#isRestored = this.#isRecorded = isRestored;
  }

  static async open(parts: ClaimGateParts): Promise<ClaimGate> {
    const isRestored = (await parts.store.get("SELECT 1 FROM counters WHERE name = ?", RESTORED)) !== null;
    const gate = new ClaimGate(parts, isRestored);
    await gate.#close();
    if (isRestored && !gate.isOpen)
      parts.log.warn(`A restored backup is still being compared: waiting for ${gate.#awaited.size} runner(s)`);
    return gate;
  }

  get isOpen(): boolean {
    return this.#awaited.size === 0;
  }

  /** Null while runs are given out. */
  get wait(): ClaimsWait | null {
    if (this.isOpen) return null;
    return {
      reason: this.#isRestored ? "restored" : "started",
      runners: this.#awaited.size,
      at_most_seconds: Math.max(0, this.#untilMs - performance.now()) / 1_000,
    };
  }

  /** Whether the runner holds up the others: it has not said yet what it holds. */
  awaits(runnerId: string): boolean {
    return this.#awaited.has(runnerId);
  }

  /** Runners that say that they hold a pending run, or know its outcome, are believed. */
  get isRestored(): boolean {
    return this.#isRestored;
  }

  /** Whether this runner is to be asked for the outcomes of runs that look open. */
  asks(runnerId: string): boolean {
    return this.#isRestored && !this.#answered.has(runnerId);
  }

  /**
   * Compares what the runner has seen with the database's history, before its word on its runs is taken. Call in a
   * transaction. Returns whether that shows a restore for the first time.
   */
  async compare(runnerId: string, { seen }: Heartbeat): Promise<boolean> {
    const { history, store, log } = this.#parts;
    if (seen == null || this.#isRecorded || (await history.has(seen))) return false;
    this.#isRestored = true;
    this.#answered.clear();
    await store.run(SET_COUNTER, RESTORED, 1);
    this.#awaited.add(runnerId);
    await this.#close();
    store.afterCommit(() => {
      this.#isRecorded = true;
      log.error(
        `The database is older than what runner ${runnerId} has seen: a backup was restored. ` +
          `No run is given out until ${this.#awaited.size} runner(s) have told what they did`,
        { runner: runnerId },
      );
    });
    return true;
  }

  /** The runner has said what it holds, to this process of the coordinator. Takes effect after the commit. */
  heard(runnerId: string, { seen, answered }: Heartbeat): void {
    const { store, history } = this.#parts;
    // What was said before this start is no answer to it.
    if (seen?.epoch !== history.epoch) return;
    if (this.#isRestored && answered !== history.epoch) return;
    store.afterCommit(() => {
      this.#answered.add(runnerId);
      if (!this.#awaited.delete(runnerId) || !this.isOpen) return;
      if (this.#isRestored) this.#parts.log.info("All known runners have told what they did: giving out runs again");
      void this.#open();
    });
  }

  /** A runner that was removed will not say anything. Takes effect after the commit. */
  forget(runnerId: string): void {
    this.#parts.store.afterCommit(() => {
      if (this.#awaited.delete(runnerId) && this.isOpen) void this.#open();
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  async #close(): Promise<void> {
    const { runners, startMs, restoredMs } = this.#parts;
    for (const runner of await runners.all()) {
      // Runners without an instance id cannot say what they hold.
      if (runner.instance_id !== null && runner.deregistered === 0) this.#awaited.add(runner.runner_id);
    }
    clearTimeout(this.#timer);
    if (this.isOpen) return;
    const waitMs = this.#isRestored ? restoredMs : startMs;
    this.#untilMs = performance.now() + waitMs;
    this.#timer = setTimeout(() => this.#expire(), waitMs);
  }

  #expire(): void {
    const missing = [...this.#awaited];
    const said = this.#isRestored
      ? `Gives out runs although ${missing.length} runner(s) did not tell what they did since the backup. ` +
        "Pending runs that they executed meanwhile are executed again"
      : `Gives out runs although ${missing.length} known runner(s) did not come back`;
    this.#parts.log[this.#isRestored ? "error" : "info"](said, { runners: missing.join(" ") });
    this.#awaited.clear();
    void this.#open();
  }

  /** Never rejects. */
  async #open(): Promise<void> {
    const { store, waiters, log } = this.#parts;
    clearTimeout(this.#timer);
    waiters.wakeAll();
    if (!this.#isRestored) return;
    try {
      await store.write(() => store.run("DELETE FROM counters WHERE name = ?", RESTORED));
    } catch (error) {
      // The next start then compares once more.
      log.warn(`Could not note that a restored backup was compared: ${describeError(error)}`);
    }
  }
}
