import { aborted } from "../../async/aborted.ts";
import { delay } from "../../async/delay.ts";
import { CannotRun, type Intake } from "./intake.ts";

/** An executor that failed at once, without having sent or printed anything. */
export interface QuickFailure {
  readonly error: string;
  /** The run may go back to the queue: it has not been there before, and the coordinator takes it. */
  readonly mayReturn: boolean;
}

/** An executor that lives longer has begun its work. */
export const QUICK_MS = 3_000;
/** This number of quick failures in a row, all with one cause, shows a fault of the machine. */
const IN_A_ROW = 3;
/** A verdict waits this long for the next run. Runs that wait in the queue arrive within milliseconds. */
const WAIT_MS = 2_000;

type Verdict = "failed" | "given-back";

/**
 * Tells faults of the machine from faults of the task. One executor that fails at once may have a wrong task; several
 * in a row, all with one cause, cannot run here. Then the intake closes, and the runs go back to the queue. On trial,
 * one such failure is enough.
 */
export class QuickFailures {
  readonly #intake: Intake;
  readonly #waitMs: number;
  #cause = "";
  #inARow = 0;
  #tripped = new AbortController();

  constructor(intake: Intake, waitMs = WAIT_MS) {
    this.#intake = intake;
    this.#waitMs = waitMs;
  }

  /** Call when an executor has shown that it works: the row is broken. */
  worked(): void {
    this.#inARow = 0;
    this.#tripped = new AbortController();
    this.#intake.proved();
  }

  /** Resolves after at most `waitMs`, or when `urgent` fires. */
  async verdict({ error, mayReturn }: QuickFailure, urgent: AbortSignal): Promise<Verdict> {
    const cause = causeOf(error);
    if (cause !== this.#cause) {
      this.#inARow = 0;
      this.#tripped = new AbortController();
    }
    this.#cause = cause;
    this.#inARow++;
    const { signal } = this.#tripped;
    if (this.#inARow >= IN_A_ROW || this.#intake.isOnTrial) this.#trip(error);
    else if (mayReturn) await Promise.race([delay(this.#waitMs, signal), aborted(urgent)]);
    return signal.aborted && mayReturn ? "given-back" : "failed";
  }

  #trip(error: string): void {
    const count = this.#inARow >= IN_A_ROW ? `${this.#inARow} runs in a row` : "a run";
    this.#intake.close(new CannotRun(`${count} failed at once, before the executor sent anything: ${error}`, true));
    this.#tripped.abort();
    this.#tripped = new AbortController();
  }
}

/** Numbers and ids differ from run to run. */
function causeOf(error: string): string {
  return error.replaceAll(/[0-9a-f]{8,}|\d+/gi, "#").slice(0, 500);
}
