import type { ExecutorProcess } from "../../process/spawn.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import type { CancelReason } from "./outcome.ts";

/**
 * The states of a run in this runner:
 * - `queued`: claimed; waits for its turn in the session
 * - `starting`: gets its blueprint, is prepared, and reports `started`
 * - `running`: the executor lives
 * - `reporting`: the executor has ended or was never started; the report is in flight
 * - `ended`: the coordinator has acknowledged the report, or refused it for good
 */
export type RunState = "queued" | "starting" | "running" | "reporting" | "ended";

const NEXT: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: ["starting", "reporting"],
  starting: ["running", "reporting"],
  running: ["reporting"],
  reporting: ["ended"],
  ended: [],
};

/** A run from its claim to the acknowledged report. */
export class ActiveRun {
  readonly #cancel = new AbortController();
  #state: RunState = "queued";
  #reason: CancelReason | null = null;
  #sinceMs = performance.now();
  readonly #enteredAtMs = new Map<RunState, number>([["queued", nowMs()]]);
  #child: ExecutorProcess | null = null;
  #childSinceMs = 0;
  #childEndedMs: number | null = null;
  /** An earlier process of this runner began the run. The times of its claim and of its spawn are unknown. */
  isAdopted = false;

  constructor(
    readonly assigned: AssignedRun,
    readonly onState: (run: ActiveRun, from: RunState) => void = () => {},
  ) {}

  get runId(): string {
    return this.assigned.runId;
  }

  get sessionId(): string {
    return this.assigned.sessionId;
  }

  get state(): RunState {
    return this.#state;
  }

  /** Call it once the executor lives. */
  watch(child: ExecutorProcess): void {
    this.#child = child;
    this.#sinceMs -= child.ageMs;
    this.#childSinceMs = performance.now() - child.ageMs;
    void child.exited.then(() => (this.#childEndedMs = performance.now()));
    this.moveTo("running");
  }

  /** Sends SIGKILL to the executor's process group. The runner must exit at once. */
  kill(): void {
    this.#child?.signalGroup("SIGKILL");
  }

  /** The time since the claim; for an adopted run, the time since its executor's start. */
  get ageMs(): number {
    return performance.now() - this.#sinceMs;
  }

  /**
   * From the executor's start to its end, or to now. Undefined without an executor, and for an adopted one that had
   * ended: its end was not seen.
   */
  get durationMs(): number | undefined {
    const child = this.#child;
    if (child === null || (this.isAdopted && child.ageMs === 0)) return undefined;
    return (this.#childEndedMs ?? performance.now()) - this.#childSinceMs;
  }

  /**
   * When the run entered this state, in milliseconds since the epoch on a monotonic clock; undefined if it has not.
   */
  enteredAtMs(state: RunState): number | undefined {
    return this.#enteredAtMs.get(state);
  }

  /** For log lines. */
  get context(): { run: string; session: string } {
    return { run: this.runId, session: this.sessionId };
  }

  moveTo(next: RunState): void {
    const from = this.#state;
    if (!NEXT[from].includes(next)) throw new Error(`run ${this.runId}: no transition from ${from} to ${next}`);
    this.#state = next;
    this.#enteredAtMs.set(next, nowMs());
    this.onState(this, from);
  }

  /** Fires when the run must end. `cancelReason` is set by then. */
  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  get cancelReason(): CancelReason | null {
    return this.#reason;
  }

  /** Whether `cancel` can still end the run: it has not ended, and nobody has cancelled it. */
  get isCancellable(): boolean {
    return this.#reason === null && this.#state !== "reporting" && this.#state !== "ended";
  }

  /** Cancels the run. Keeps the first reason; returns false if there is one already, or if the executor has ended. */
  cancel(reason: CancelReason): boolean {
    if (!this.isCancellable) return false;
    this.#reason = reason;
    this.#cancel.abort();
    return true;
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
