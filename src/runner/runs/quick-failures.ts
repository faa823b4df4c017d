import { CannotRun, type Intake } from "./intake.ts";

/** An executor that lives longer has begun its work. */
export const QUICK_MS = 3_000;
/** This number of quick failures in a row, all with one cause, shows a fault of the machine. */
const IN_A_ROW = 3;

/**
 * Tells faults of the machine from faults of the task. One executor that fails at once may have a wrong task; several
 * in a row, all with one cause, cannot run here. Then the intake closes. On trial, one such failure is enough.
 *
 * The runs stay failed: an executor that was started may have done something, and no run is executed twice. One that
 * has not can say so (exit code 78), and then its run goes back.
 */
export class QuickFailures {
  readonly #intake: Intake;
  #cause = "";
  #inARow = 0;

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  /** Call when an executor has shown that it works: the row is broken. */
  worked(): void {
    this.#inARow = 0;
    this.#intake.proved();
  }

  /** Call when an executor has failed at once, without having sent or printed anything. */
  failed(error: string): void {
    const cause = causeOf(error);
    this.#inARow = cause === this.#cause ? this.#inARow + 1 : 1;
    this.#cause = cause;
    if (this.#inARow < IN_A_ROW && !this.#intake.isOnTrial) return;
    const count = this.#inARow >= IN_A_ROW ? `${this.#inARow} runs in a row` : "a run";
    this.#intake.close(new CannotRun(`${count} failed at once, before the executor sent anything: ${error}`, true));
  }
}

/** Numbers and ids differ from run to run. */
function causeOf(error: string): string {
  return error.replaceAll(/[0-9a-f]{8,}|\d+/gi, "#").slice(0, 500);
}
