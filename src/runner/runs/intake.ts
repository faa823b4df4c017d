import { delay } from "../../async/delay.ts";
import { describeMs } from "../../async/describe-ms.ts";
import { linked } from "../../async/linked.ts";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { isShortage } from "../../process/shortage.ts";
import type { Bell } from "./bell.ts";

export interface IntakeOptions {
  readonly log: Log;
  /** Rejects, naming the shortage or with a CannotRun, unless one more run can be started. */
  readonly requireRoom: () => Promise<void>;
  /** Rung after each opening and closing. */
  readonly bell: Bell;
  readonly checkIntervalMs?: number;
  readonly maxWaitMs?: number;
}

/** No executor can be started on this machine: a program or the project directory is missing. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

/** A claimed run waits this long for room. Then it fails, and its error names the shortage. */
const MAX_WAIT_MS = 10 * 60_000;
const CHECK_INTERVAL_MS = 1_000;
const MAX_CHECK_INTERVAL_MS = 30_000;
/** A shortage this soon after an opening proves the check wrong. The interval of the checks then doubles. */
const TOO_SOON_MS = 60_000;

/**
 * Whether the runner takes runs. Closes when the machine is short of disk, descriptors, memory or processes. Checks for
 * room from then on, and opens again. Each change logs one line. Runs that execute are not affected.
 */
export class Intake implements Disposable {
  readonly #options: IntakeOptions;
  readonly #ended = new AbortController();
  #closedSinceMs: number | null = null;
  #openedAtMs = Number.NEGATIVE_INFINITY;
  #checkIntervalMs: number;
  #opening = Promise.withResolvers<void>();
  /** Called after each opening: claims that were given back may still be this runner's. */
  onOpened: () => void = () => {};

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#checkIntervalMs = options.checkIntervalMs ?? CHECK_INTERVAL_MS;
  }

  get isClosed(): boolean {
    return this.#closedSinceMs !== null;
  }

  /** Closes until a check finds room. */
  close(shortage: unknown): void {
    if (this.isClosed || this.#ended.signal.aborted) return;
    const { log, bell, checkIntervalMs = CHECK_INTERVAL_MS } = this.#options;
    const now = performance.now();
    this.#checkIntervalMs =
      now - this.#openedAtMs < TOO_SOON_MS
        ? Math.min(MAX_CHECK_INTERVAL_MS, this.#checkIntervalMs * 2)
        : checkIntervalMs;
    this.#closedSinceMs = now;
    log.error(
      shortage instanceof CannotRun
        ? `This machine cannot run the executor (${shortage.message}): taking no runs until it can`
        : `No room for more runs on this machine (${describeError(shortage)}): ` +
            "taking no runs until there is; current runs continue",
    );
    bell.ring();
    void this.#reopen(now, shortage instanceof CannotRun);
  }

  /** Closes if there is no room. */
  async check(): Promise<void> {
    await this.#options.requireRoom().catch((error: unknown) => this.close(error));
  }

  /**
   * Runs one step towards the start of a run. Retries the step after each shortage, as soon as there is room again.
   * Resolves to "cancelled" when `cancelled` fires. Throws if the run has waited too long for room.
   */
  async whenThereIsRoom<T>(step: () => T | Promise<T>, cancelled: AbortSignal): Promise<T | "cancelled"> {
    const { maxWaitMs = MAX_WAIT_MS } = this.#options;
    const sinceMs = performance.now();
    for (;;) {
      const leftMs = sinceMs + maxWaitMs - performance.now();
      await this.#untilOpen(leftMs, cancelled);
      if (cancelled.aborted || this.#ended.signal.aborted) return "cancelled";
      try {
        return await step();
      } catch (error) {
        if (!isShortage(error)) throw error;
        this.close(error);
        if (leftMs <= 0)
          throw new Error(
            `the machine had no room for the run for ${describeMs(maxWaitMs)} (${describeError(error)})`,
            { cause: error },
          );
      }
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#opening.resolve();
  }

  async #reopen(closedAtMs: number, cannotRun: boolean): Promise<void> {
    for (;;) {
      await delay(this.#checkIntervalMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      const hasRoom = await this.#options.requireRoom().then(
        () => true,
        () => false,
      );
      if (hasRoom) break;
      // A missing program comes back by hand, room by itself.
      if (cannotRun) this.#checkIntervalMs = Math.min(MAX_CHECK_INTERVAL_MS, this.#checkIntervalMs * 2);
    }
    this.#openedAtMs = performance.now();
    this.#closedSinceMs = null;
    const change = cannotRun ? "This machine can run the executor again" : "There is room again";
    this.#options.log.info(`${change} after ${describeMs(this.#openedAtMs - closedAtMs)}: taking runs`);
    this.#opening.resolve();
    this.#opening = Promise.withResolvers();
    this.onOpened();
    this.#options.bell.ring();
  }

  async #untilOpen(ms: number, cancelled: AbortSignal): Promise<void> {
    if (!this.isClosed || ms <= 0) return;
    using early = linked(cancelled);
    void this.#opening.promise.then(() => early.abort());
    await delay(ms, early.signal);
  }
}
