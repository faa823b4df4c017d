import { delay } from "../../async/delay.ts";
import { describeMs } from "../../async/describe-ms.ts";
import { linked } from "../../async/linked.ts";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { isShortage } from "../../process/shortage.ts";
import type { Bell } from "./bell.ts";

export interface IntakeOptions {
  readonly log: Log;
  /** Rejects, saying what is lacking, unless there is room for one more run. */
  readonly requireRoom: () => Promise<void>;
  /** Rung after each opening and closing. */
  readonly bell: Bell;
  readonly lookEveryMs?: number;
  readonly maxWaitMs?: number;
}

/** So long a run that was claimed already waits for room before it is reported failed, saying why. */
const MAX_WAIT_MS = 10 * 60_000;
const LOOK_EVERY_MS = 1_000;
const LOOK_EVERY_AT_MOST_MS = 30_000;
/** Closed again so soon after an opening, the looks were wrong: the next one is later. */
const TOO_SOON_MS = 60_000;

/**
 * Whether runs are taken. Disk, descriptors, memory or processes that have run out close it, with one line; it opens again by itself, with
 * another, when a look finds room. What runs meanwhile is not touched.
 */
export class Intake implements Disposable {
  readonly #options: IntakeOptions;
  readonly #ended = new AbortController();
  #closedSinceMs: number | null = null;
  #openedAtMs = Number.NEGATIVE_INFINITY;
  #lookEveryMs: number;
  #opening = Promise.withResolvers<void>();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#lookEveryMs = options.lookEveryMs ?? LOOK_EVERY_MS;
  }

  get isClosed(): boolean {
    return this.#closedSinceMs !== null;
  }

  /** Takes no more runs until a look finds room. */
  close(why: unknown): void {
    if (this.isClosed || this.#ended.signal.aborted) return;
    const { log, bell, lookEveryMs = LOOK_EVERY_MS } = this.#options;
    const now = performance.now();
    this.#lookEveryMs =
      now - this.#openedAtMs < TOO_SOON_MS ? Math.min(LOOK_EVERY_AT_MOST_MS, this.#lookEveryMs * 2) : lookEveryMs;
    this.#closedSinceMs = now;
    log.error(
      `No room for more runs on this machine (${describeError(why)}): taking none until there is; what runs goes on`,
    );
    bell.ring();
    void this.#openAgain(now);
  }

  /** Closes it where there is no room already. */
  async look(): Promise<void> {
    await this.#options.requireRoom().catch((error: unknown) => this.close(error));
  }

  /**
   * Does one step towards the start of a run. Where there is no room for it, it is tried again whenever there is, until `cancelled` fires
   * or the run has waited too long: then the step's own error is thrown.
   */
  async whenThereIsRoom<T>(step: () => T, cancelled: AbortSignal): Promise<T | "cancelled"> {
    const { maxWaitMs = MAX_WAIT_MS } = this.#options;
    const sinceMs = performance.now();
    for (;;) {
      const leftMs = sinceMs + maxWaitMs - performance.now();
      await this.#untilOpen(leftMs, cancelled);
      if (cancelled.aborted || this.#ended.signal.aborted) return "cancelled";
      try {
        return step();
      } catch (error) {
        if (!isShortage(error)) throw error;
        this.close(error);
        if (leftMs <= 0)
          throw new Error(
            `there was no room for it on the machine for ${describeMs(maxWaitMs)} (${describeError(error)})`,
            { cause: error },
          );
      }
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#opening.resolve();
  }

  async #openAgain(closedAtMs: number): Promise<void> {
    for (;;) {
      await delay(this.#lookEveryMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      const hasRoom = await this.#options.requireRoom().then(
        () => true,
        () => false,
      );
      if (hasRoom) break;
    }
    this.#openedAtMs = performance.now();
    this.#closedSinceMs = null;
    this.#options.log.info(`There is room again after ${describeMs(this.#openedAtMs - closedAtMs)}: taking runs`);
    this.#opening.resolve();
    this.#opening = Promise.withResolvers();
    this.#options.bell.ring();
  }

  async #untilOpen(ms: number, cancelled: AbortSignal): Promise<void> {
    if (!this.isClosed || ms <= 0) return;
    using early = linked(cancelled);
    void this.#opening.promise.then(() => early.abort());
    await delay(ms, early.signal);
  }
}
