import type { ExecutorProcess } from "../../process/spawn.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import type { CancelReason } from "./outcome.ts";

/**
 * The states of a run here:
 * - `queued`: claimed; another run of its session is not through yet
 * - `starting`: its turn; blueprint, preparation, `started` on its way
 * - `running`: the executor lives
 * - `reporting`: the executor has ended, or was never started; what came of it is on its way to the coordinator
 * - `ended`: acknowledged, or refused for good
 */
export type RunState = "queued" | "starting" | "running" | "reporting" | "ended";

const NEXT: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: ["starting", "reporting"],
  starting: ["running", "reporting"],
  running: ["reporting"],
  reporting: ["ended"],
  ended: [],
};

/** One run that this runner has claimed and not yet accounted for. */
export class ActiveRun {
  readonly #cancel = new AbortController();
  #state: RunState = "queued";
  #reason: CancelReason | null = null;
  #sinceMs = performance.now();
  readonly #enteredAtMs = new Map<RunState, number>([["queued", nowMs()]]);
  #child: ExecutorProcess | null = null;
  /** An earlier start of the runner began it: when it was claimed and spawned is not known here. */
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

  /** The executor is started. */
  startedAs(child: ExecutorProcess): void {
    this.#child = child;
    this.#sinceMs -= child.ageMs;
    this.moveTo("running");
  }

  /** SIGKILL to the executor's group, now; for a runner that exits at once. */
  kill(): void {
    this.#child?.signalGroup("SIGKILL");
  }

  /** How long the run has been here, an earlier start's time with its executor included. */
  get ageMs(): number {
    return performance.now() - this.#sinceMs;
  }

  /** When the run came into this state, in milliseconds since the epoch on a clock that never goes back; undefined if it never did. */
  enteredAtMs(state: RunState): number | undefined {
    return this.#enteredAtMs.get(state);
  }

  /** For log lines. */
  get context(): { run: string; session: string } {
    return { run: this.runId, session: this.sessionId };
  }

  moveTo(next: RunState): void {
    const from = this.#state;
    if (!NEXT[from].includes(next)) throw new Error(`run ${this.runId}: no way from ${from} to ${next}`);
    this.#state = next;
    this.#enteredAtMs.set(next, nowMs());
    this.onState(this, from);
  }

  /** Fires when the run is to be ended; `cancelReason` says why. */
  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  get cancelReason(): CancelReason | null {
    return this.#reason;
  }

  /** Nothing has asked for its end, and it has not ended. */
  get isToGoOn(): boolean {
    return this.#reason === null && this.#state !== "reporting" && this.#state !== "ended";
  }

  /** Asks for the run's end. Only the first reason counts; false if there was one already or the executor has ended. */
  cancel(reason: CancelReason): boolean {
    if (!this.isToGoOn) return false;
    this.#reason = reason;
    this.#cancel.abort();
    return true;
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
