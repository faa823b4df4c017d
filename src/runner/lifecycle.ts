import { delay } from "../async/delay.ts";
import { describeMs } from "../async/describe-ms.ts";
import type { Log } from "../log.ts";
import { ORDER_OF_STATES, type RunnerState } from "./runner-state.ts";
import type { RunRegistry } from "./runs/run-registry.ts";

export type LeaveReason = "interrupted" | "deregistered" | "offline" | "superseded";

export interface LifecycleOptions {
  readonly registry: RunRegistry;
  readonly log: Log;
  /** The drain turns into a stop after this time; 0: never. */
  readonly drainTimeoutMs: number;
  /** For a log line. `Link` measures the outage. */
  readonly maxOfflineMs: number;
  /** Called with `starting`, then with each state that the runner enters. */
  readonly onState: (state: RunnerState) => void;
}

const REMINDER_EVERY_MS = 30_000;

/** The state of a runner (see `RunnerState`). Interrupts, a deregistration and a long outage change it. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #draining = new AbortController();
  readonly #stopping = new AbortController();
  #state: RunnerState = "starting";
  #reason: LeaveReason = "interrupted";

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  get state(): RunnerState {
    return this.#state;
  }

  get reason(): LeaveReason {
    return this.#reason;
  }

  /** Fires when the runner takes no more runs. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /** Fires when the runner stops its runs, and at the latest when it has left. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  start(): void {
    this.#options.onState(this.#state);
  }

  online(): void {
    this.#moveTo("online");
  }

  /** The first call drains, the second stops the runs, a third does nothing. */
  interrupt(): void {
    if (this.#takesRuns) this.#drain("interrupted");
    else if (this.#state === "draining") this.#stopRuns();
  }

  deregistered(): void {
    if (this.#state === "online") this.#drain("deregistered");
  }

  offlineTooLong(): void {
    const { log, maxOfflineMs } = this.#options;
    log.error(`Agent Coordinator has been away for ${describeMs(maxOfflineMs)}: giving up`);
    if (this.#takesRuns) this.#drain("offline");
    this.#reason = "offline";
    if (this.#state === "draining") this.#stopRuns();
  }

  /** Another process of this identity has the registration: what runs here is nobody's any more. */
  superseded(): void {
    const { log, registry } = this.#options;
    log.error("Another runner of this host name, project directory and executor has taken over: shutting down");
    for (const run of registry.all()) run.cancel({ kind: "revoked" });
    if (this.#takesRuns) this.#drain("superseded");
    this.#reason = "superseded";
    if (this.#state === "draining") this.#stopRuns();
  }

  left(): void {
    this.#moveTo("left");
    // Ends the timers of a drain that needed no stop.
    this.#stopping.abort();
  }

  get #takesRuns(): boolean {
    return this.#state === "starting" || this.#state === "online";
  }

  #drain(reason: LeaveReason): void {
    const { registry, log, drainTimeoutMs } = this.#options;
    this.#reason = reason;
    this.#moveTo("draining");
    const limit = drainTimeoutMs > 0 ? `, at most ${describeMs(drainTimeoutMs)}` : "";
    const how = reason === "deregistered" ? "Deregistered by the coordinator" : "Shutting down";
    log.info(
      registry.size === 0 ? how : `${how}: waiting for ${registry.size} run(s)${limit}; interrupt again to stop them`,
    );
    this.#draining.abort();
    if (drainTimeoutMs > 0) void this.#stopAfter(drainTimeoutMs);
    void this.#remind();
  }

  async #stopAfter(ms: number): Promise<void> {
    await delay(ms, this.stopping);
    if (this.#state === "draining") this.#stopRuns();
  }

  async #remind(): Promise<void> {
    const { registry, log } = this.#options;
    const sinceMs = performance.now();
    for (;;) {
      await delay(REMINDER_EVERY_MS, this.stopping);
      if (this.stopping.aborted) return;
      log.info(`Still waiting for ${registry.size} run(s), for ${describeMs(performance.now() - sinceMs)} now`);
    }
  }

  #stopRuns(): void {
    const { registry, log } = this.#options;
    this.#moveTo("stopping");
    if (registry.executing > 0) log.info(`Stopping ${registry.executing} run(s); interrupt again to exit at once`);
    for (const run of registry.all()) run.cancel({ kind: "shutdown" });
    this.#stopping.abort();
  }

  #moveTo(next: RunnerState): void {
    if (ORDER_OF_STATES.indexOf(next) <= ORDER_OF_STATES.indexOf(this.#state))
      throw new Error(`no transition from ${this.#state} to ${next}`);
    this.#options.log.debug(`${this.#state} -> ${next}`);
    this.#state = next;
    this.#options.onState(next);
  }
}
