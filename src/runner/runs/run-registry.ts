import type { AssignedRun } from "../../protocol/poll.ts";
import { ActiveRun, type RunState } from "./active-run.ts";
import type { Bell } from "./bell.ts";
import { SessionTurns } from "./session-turns.ts";
import { Slots } from "./slots.ts";

/**
 * A run that this runner has taken. `turn` resolves when the earlier runs of its session are over. `end` ends the run,
 * once; later calls do nothing. `remember: false` allows a second delivery: the claim of the run was revoked.
 */
export interface TakenRun {
  readonly run: ActiveRun;
  readonly turn: Promise<void>;
  readonly end: (options: { remember: boolean }) => void;
}

/** Runs to remember that are in no journal: a stop command or a second delivery may still arrive for them. */
const REMEMBERED = 1_000;

/** The runs of this runner, from the claim to the acknowledged report. */
export class RunRegistry {
  readonly #bell: Bell;
  readonly #slots: Slots;
  readonly #turns = new SessionTurns();
  readonly #runs = new Map<string, ActiveRun>();
  readonly #ended = new Set<string>();
  readonly #isOnRecord: (runId: string) => boolean;

  /**
   * `limit`: the number of slots; 0: no limit. Rings `bell` at each change. `isOnRecord`: whether the journal has the
   * run as ended.
   */
  constructor(limit: number, bell: Bell, isOnRecord: (runId: string) => boolean = () => false) {
    this.#isOnRecord = isOnRecord;
    this.#bell = bell;
    this.#slots = new Slots(limit);
  }

  /** Takes a run. Returns null if the runner has taken it before: a run that is delivered twice is executed once. */
  add(assigned: AssignedRun): TakenRun | null {
    if (this.knows(assigned.runId)) return null;
    const run = new ActiveRun(assigned, (_, from) => this.#onState(run, from));
    this.#runs.set(run.runId, run);
    this.#slots.take(run.sessionId);
    const { turn, over } = this.#turns.join(run.sessionId);
    const end: TakenRun["end"] = ({ remember }) => {
      if (run.state === "ended") return;
      if (run.state !== "reporting") run.moveTo("reporting");
      run.moveTo("ended");
      if (remember) this.remember([run.runId]);
      this.#runs.delete(run.runId);
      over();
      this.#bell.ring();
    };
    return { run, turn, end };
  }

  /** Remembers runs that have ended, so that `add` does not take them. */
  remember(runIds: readonly string[]): void {
    for (const runId of runIds) this.#ended.add(runId);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= REMEMBERED) return;
      this.#ended.delete(oldest);
    }
  }

  get(runId: string): ActiveRun | undefined {
    return this.#runs.get(runId);
  }

  /** Whether the run is here, or has ended here: its claim is accounted for. */
  knows(runId: string): boolean {
    return this.#runs.has(runId) || this.#ended.has(runId) || this.#isOnRecord(runId);
  }

  all(): readonly ActiveRun[] {
    return [...this.#runs.values()];
  }

  ofSession(sessionId: string): readonly ActiveRun[] {
    return this.all().filter((run) => run.sessionId === sessionId);
  }

  /** The number of runs whose report is not acknowledged. */
  get size(): number {
    return this.#runs.size;
  }

  /** The number of runs whose executor has not ended, or not begun. */
  get executing(): number {
    return this.#slots.executing;
  }

  /** Whether all slots are in use if `expected` more sessions will need one each. */
  isFullWith(expected: number): boolean {
    return this.#slots.isFullWith(expected);
  }

  /** Marks the run as waiting for another run, until the returned value is disposed. See `Slots`. */
  waits(runId: string): Disposable {
    const run = this.#runs.get(runId);
    if (run === undefined) return { [Symbol.dispose]() {} };
    this.#slots.beginWait(run);
    this.#bell.ring();
    return {
      [Symbol.dispose]: () => {
        this.#slots.endWait(run);
        this.#bell.ring();
      },
    };
  }

  #onState(run: ActiveRun, from: RunState): void {
    if (run.state === "reporting" && from !== "reporting") this.#slots.release(run.sessionId);
    this.#bell.ring();
  }
}
