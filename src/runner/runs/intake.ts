import { delay } from "../../async/delay.ts";
import { describeMs } from "../../async/describe-ms.ts";
import { linked } from "../../async/linked.ts";
import { clip, describeError } from "../../errors.ts";
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

/**
 * No executor can do its work on this machine: a program or the project directory is missing, or the executor says so.
 * `needsTrial`: no check of the runner can find out whether that has changed, only another run can.
 */
export class CannotRun extends Error {
  override readonly name = "CannotRun";

  constructor(
    message: string,
    readonly needsTrial = false,
    /** When to look again, in ms since 1970. Null: with growing pauses. */
    readonly untilMs: number | null = null,
  ) {
    super(clip(message.replaceAll(/\s+/g, " ").trim(), 300));
  }
}

/** A claimed run waits this long for room. Then it fails, and its error names the shortage. */
const MAX_WAIT_MS = 10 * 60_000;
/** Where another machine may take the run, it waits only for a shortage that passes by itself. */
const MAX_WAIT_ELSEWHERE_MS = 20_000;
const CHECK_INTERVAL_MS = 1_000;
const MAX_CHECK_INTERVAL_MS = 30_000;
/** Each trial costs a claim and a start. */
const MAX_TRIAL_INTERVAL_MS = 60_000;
/** Nobody knows whether a limit has been lifted early. A trial costs a run if not. */
const MAX_LIMIT_MS = 6 * 3_600_000;
/** A shortage this soon after an opening proves the check wrong. The interval of the checks then doubles. */
const TOO_SOON_MS = 60_000;
/** An executor that lives this long can run, as far as the runner can tell. */
const TRIAL_MS = 15_000;

/**
 * Whether the runner takes runs. Closes when the machine is short of disk, descriptors, memory or processes, or cannot
 * run the executor. Checks from then on, with growing pauses, and opens again. Where only a run can tell, takes one run
 * on trial first. Logs one line when it closes and one when it has opened. Runs that execute are not affected.
 */
export class Intake implements Disposable {
  readonly #options: IntakeOptions;
  readonly #ended = new AbortController();
  #fault: string | null = null;
  #isClosed = false;
  /** Why it is closed, if not for a shortage. */
  #cannotRun: CannotRun | null = null;
  #closedAtMs = 0;
  #openedAtMs = Number.NEGATIVE_INFINITY;
  #checkIntervalMs: number;
  #opening = Promise.withResolvers<void>();
  /** `wanted`: one run may be taken. `begun`: it was taken, and its end is awaited. */
  #trial: "none" | "wanted" | "begun" = "none";
  #trialTimer: Timer | undefined;
  /** Called after each opening: claims that were given back may still be this runner's. */
  onOpened: () => void = () => {};
  /** Called after each change of `fault`. */
  onFault: () => void = () => {};

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#checkIntervalMs = options.checkIntervalMs ?? CHECK_INTERVAL_MS;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether another run may be claimed. */
  get takesRuns(): boolean {
    return !this.#isClosed && this.#trial !== "begun";
  }

  /** Whether the runs that are taken now show whether this machine can run the executor. */
  get isOnTrial(): boolean {
    return this.#trial !== "none";
  }

  /** Why no runs are taken; also during a trial. Null if they are. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Closes until a check finds room, or until a run on trial succeeds. */
  close(shortage: unknown): void {
    if (this.isClosed || this.#ended.signal.aborted) return;
    const { log, bell, checkIntervalMs = CHECK_INTERVAL_MS } = this.#options;
    const now = performance.now();
    const needsTrial = shortage instanceof CannotRun && shortage.needsTrial;
    const longestMs = needsTrial ? MAX_TRIAL_INTERVAL_MS : MAX_CHECK_INTERVAL_MS;
    this.#checkIntervalMs =
      now - this.#openedAtMs < TOO_SOON_MS || this.isOnTrial
        ? Math.min(longestMs, this.#checkIntervalMs * 2)
        : checkIntervalMs;
    const isNew = !this.isOnTrial;
    this.#endTrial();
    this.#isClosed = true;
    this.#cannotRun = shortage instanceof CannotRun ? shortage : null;
    if (isNew) {
      this.#closedAtMs = now;
      log.error(
        shortage instanceof CannotRun
          ? `This machine cannot run the executor (${shortage.message}): taking no runs until it can`
          : `No room for more runs on this machine (${describeError(shortage)}): ` +
              "taking no runs until there is; current runs continue",
      );
    }
    this.#setFault(shortage instanceof CannotRun ? shortage.message : `no room: ${clip(describeError(shortage), 300)}`);
    bell.ring();
    void this.#reopen(shortage instanceof CannotRun ? shortage : null);
  }

  /** Closes if there is no room. */
  async check(): Promise<void> {
    await this.#options.requireRoom().catch((error: unknown) => this.close(error));
  }

  /** Call when a run was taken: no other is taken before the trial has ended. */
  took(): void {
    if (this.#trial !== "wanted") return;
    this.#trial = "begun";
    this.#trialTimer = setTimeout(() => this.proved(), TRIAL_MS);
  }

  /** Call when an executor has shown that it can run here. */
  proved(): void {
    if (!this.isOnTrial) return;
    this.#endTrial();
    this.#opened(true);
    this.#options.bell.ring();
  }

  /** Call when a run has ended that showed nothing: the next one is the trial. */
  undecided(): void {
    if (this.#trial !== "begun") return;
    clearTimeout(this.#trialTimer);
    this.#trial = "wanted";
    this.#options.bell.ring();
  }

  /**
   * Runs one step towards the start of a run. Retries the step after each shortage, as soon as there is room again.
   * Resolves to "cancelled" when `cancelled` fires. Throws a CannotRun if the run has waited too long. `mayReturn`: the
   * run may go back to the queue, so it waits less.
   */
  async whenThereIsRoom<T>(
    step: () => T | Promise<T>,
    cancelled: AbortSignal,
    mayReturn = false,
  ): Promise<T | "cancelled"> {
    const maxWaitMs = this.#options.maxWaitMs ?? (mayReturn ? MAX_WAIT_ELSEWHERE_MS : MAX_WAIT_MS);
    const sinceMs = performance.now();
    for (;;) {
      const leftMs = sinceMs + maxWaitMs - performance.now();
      if (mayReturn && this.#cannotRun !== null) throw this.#cannotRun;
      await this.#untilOpen(leftMs, cancelled);
      if (cancelled.aborted || this.#ended.signal.aborted) return "cancelled";
      try {
        return await step();
      } catch (error) {
        if (!isShortage(error) && !(error instanceof CannotRun)) throw error;
        this.close(error);
        if (mayReturn && error instanceof CannotRun) throw error;
        if (leftMs <= 0)
          throw new CannotRun(
            `the machine had no room for the run for ${describeMs(maxWaitMs)} (${describeError(error)})`,
          );
      }
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    clearTimeout(this.#trialTimer);
    this.#opening.resolve();
  }

  async #reopen(cannotRun: CannotRun | null): Promise<void> {
    const untilMs = cannotRun?.untilMs ?? 0;
    await delay(Math.min(untilMs - Date.now(), MAX_LIMIT_MS), this.#ended.signal);
    for (;;) {
      await delay(this.#checkIntervalMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      const hasRoom = await this.#options.requireRoom().then(
        () => true,
        () => false,
      );
      if (hasRoom) break;
      // A missing program comes back by hand, room by itself.
      if (cannotRun !== null) this.#checkIntervalMs = Math.min(MAX_CHECK_INTERVAL_MS, this.#checkIntervalMs * 2);
    }
    this.#isClosed = false;
    this.#cannotRun = null;
    if (cannotRun?.needsTrial === true) this.#trial = "wanted";
    else this.#opened(cannotRun !== null);
    this.#opening.resolve();
    this.#opening = Promise.withResolvers();
    this.onOpened();
    this.#options.bell.ring();
  }

  #opened(cannotRun: boolean): void {
    this.#openedAtMs = performance.now();
    const change = cannotRun ? "This machine can run the executor again" : "There is room again";
    this.#options.log.info(`${change} after ${describeMs(this.#openedAtMs - this.#closedAtMs)}: taking runs`);
    this.#setFault(null);
  }

  #endTrial(): void {
    clearTimeout(this.#trialTimer);
    this.#trial = "none";
  }

  #setFault(fault: string | null): void {
    this.#fault = fault;
    this.onFault();
  }

  async #untilOpen(ms: number, cancelled: AbortSignal): Promise<void> {
    if (!this.isClosed || ms <= 0) return;
    using early = linked(cancelled);
    void this.#opening.promise.then(() => early.abort());
    await delay(ms, early.signal);
  }
}
