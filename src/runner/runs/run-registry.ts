import type { AssignedRun } from "../../protocol/poll.ts";
import { ActiveRun } from "./active-run.ts";

/** A run that was taken. `turn` resolves when the runs of its session before it are through; `end` says that
 * this one is (once; later calls do nothing), and whether it is to be known as such: a claim that was lost may come back. */
export interface TakenRun {
  readonly run: ActiveRun;
  readonly turn: Promise<void>;
  readonly end: (options: { remember: boolean }) => void;
}

/** So many ended runs are remembered: a stop command or a repeated delivery may still be on its way to them. */
const REMEMBERED = 10_000;

/**
 * The runs of this runner, from claim to acknowledged report. Runs of one session take turns in the order in which they were claimed, so it
 * is sessions that hold slots: one each, from the claim of a run to the end of its executor, however many runs of it wait their turn. A run
 * whose agent waits for another run holds none meanwhile: at the limit, the one that it waits for would never begin. When the wait is over it
 * goes on at once, so that for a moment more may run than the limit says.
 */
export class RunRegistry {
  readonly #limit: number;
  readonly #runs = new Map<string, ActiveRun>();
  readonly #ended = new Set<string>();
  readonly #turns = new Map<string, Promise<void>>();
  readonly #waiters = new Set<() => void>();
  /** How many calls of a run's agent wait for another run. */
  readonly #waiting = new Map<string, number>();
  /** How many runs of a session have an executor that has not ended, or not begun. */
  readonly #open = new Map<string, number>();

  /** `limit` 0: no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a run; null if it was taken before: the same run delivered twice is executed once. */
  add(assigned: AssignedRun): TakenRun | null {
    if (this.#runs.has(assigned.runId) || this.#ended.has(assigned.runId)) return null;
    const run = new ActiveRun(assigned, (_, from) => this.#onState(run, from));
    this.#runs.set(run.runId, run);
    this.#count(run.sessionId, 1);
    const turn = this.#turns.get(run.sessionId) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const next = turn.then(() => promise);
    this.#turns.set(run.sessionId, next);
    const end: TakenRun["end"] = ({ remember }) => {
      if (run.state === "ended") return;
      if (run.state !== "reporting") run.moveTo("reporting");
      run.moveTo("ended");
      if (remember) this.remember([run.runId]);
      this.#runs.delete(run.runId);
      if (this.#turns.get(run.sessionId) === next) this.#turns.delete(run.sessionId);
      resolve();
      this.wake();
    };
    return { run, turn, end };
  }

  /** These are through: none of them is taken again. */
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

  /** Whether the run is here or was here: its claim is accounted for. */
  knows(runId: string): boolean {
    return this.#runs.has(runId) || this.#ended.has(runId);
  }

  all(): readonly ActiveRun[] {
    return [...this.#runs.values()];
  }

  ofSession(sessionId: string): readonly ActiveRun[] {
    return this.all().filter((run) => run.sessionId === sessionId);
  }

  /** Runs whose end is not acknowledged yet. */
  get size(): number {
    return this.#runs.size;
  }

  /** Runs whose executor has not ended, or not begun. */
  get executing(): number {
    return this.#open.values().reduce((sum, count) => sum + count, 0);
  }

  get #slotsTaken(): number {
    return this.#open.size;
  }

  get isFull(): boolean {
    return this.#limit > 0 && this.#slotsTaken - this.#waitingCount >= this.#limit;
  }

  get #waitingCount(): number {
    return [...this.#waiting.keys()].filter((runId) => this.#runs.get(runId)?.state === "running").length;
  }

  /** The run's agent waits for another run, until this is disposed of. */
  waits(runId: string): Disposable {
    const add = (by: number): void => {
      const calls = (this.#waiting.get(runId) ?? 0) + by;
      if (calls > 0) this.#waiting.set(runId, calls);
      else this.#waiting.delete(runId);
      this.wake();
    };
    add(1);
    return { [Symbol.dispose]: () => add(-1) };
  }

  /** Resolves at the next change of `size`, `executing` or `isFull`, or of what else decides whether runs are taken. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  #onState(run: ActiveRun, from: string): void {
    if (run.state === "reporting" && from !== "reporting") this.#count(run.sessionId, -1);
    this.wake();
  }

  #count(sessionId: string, by: number): void {
    const count = (this.#open.get(sessionId) ?? 0) + by;
    if (count > 0) this.#open.set(sessionId, count);
    else this.#open.delete(sessionId);
  }

  /** Something else that decides whether runs are taken has changed: whoever waits for `changed` looks again. */
  wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }
}
