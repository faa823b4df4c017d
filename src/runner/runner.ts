import { aborted } from "../async/aborted.ts";
import type { ServeTools } from "../gateway/caller.ts";
import type { Log } from "../log.ts";
import { adoptRuns } from "./adopt-runs.ts";
import { type Dispatcher, stopRun } from "./dispatcher.ts";
import type { RunnerParts } from "./execution/runner-parts.ts";
import { freeMemoryWhenIdle } from "./idle-memory.ts";
import { leave } from "./leave.ts";
import type { LeaveReason, Lifecycle } from "./lifecycle.ts";
import type { Link } from "./link/link.ts";
import { listenForOutsiders } from "./orchestration.ts";
import { startHeartbeat } from "./polling/heartbeat.ts";
import type { LostClaims } from "./polling/lost-claims.ts";
import type { Poller } from "./polling/poller.ts";
import type { Reconciler } from "./polling/reconcile.ts";
import { watchForStops } from "./polling/stop-watch.ts";
import { keepRetention } from "./retention.ts";
import type { RunnerState } from "./runner-state.ts";
import type { RunnerStatus } from "./runner-status.ts";
import type { Bell } from "./runs/bell.ts";
import type { RunRegistry } from "./runs/run-registry.ts";
import { shownUrl } from "../protocol/shown-url.ts";

/** `unreported`: ids of runs whose end the coordinator does not know. The next process of this runner reports them. */
export interface RunnerEnd {
  readonly reason: LeaveReason;
  readonly unreported: readonly string[];
}

/** The parts of a runner, all made and none started. */
export interface WiredParts extends RunnerParts {
  readonly lifecycle: Lifecycle;
  readonly registry: RunRegistry;
  readonly bell: Bell;
  readonly link: Link;
  readonly dispatcher: Dispatcher;
  readonly reconciler: Reconciler;
  readonly lostClaims: LostClaims;
  readonly poller: Poller;
  readonly serveTools: ServeTools;
  /** The identity lock, the journal and the intake. */
  readonly owned: Disposable;
}

/** Registers, polls, executes, sends heartbeats, and leaves without losing a run. `createRunner` makes one. */
export class Runner {
  readonly #parts: WiredParts;
  readonly #log: Log;

  constructor(parts: WiredParts) {
    this.#parts = parts;
    this.#log = parts.log.scope("agent-runner");
  }

  get state(): RunnerState {
    return this.#parts.lifecycle.state;
  }

  status(): RunnerStatus {
    const { registration, link, intake, registry } = this.#parts;
    return {
      state: this.state,
      runnerId: registration.isRegistered ? registration.runnerId : null,
      isCoordinatorUp: link.lastAnswerAtMs !== null && !link.isDown,
      lastAnswerAtMs: link.lastAnswerAtMs,
      lastCallAtMs: link.lastCallAtMs,
      heartbeatIntervalMs: registration.heartbeatIntervalSeconds * 1000,
      fault: intake.fault,
      runs: registry.all(),
    };
  }

  /** The first call drains, the second stops the runs. For a third the caller has `killAll`. */
  interrupt(): void {
    this.#parts.lifecycle.interrupt();
  }

  /** Sends SIGKILL to every executor and its cgroup. The program must exit at once. */
  killAll(): void {
    const { registry, journal, cgroups, watchdog } = this.#parts;
    for (const run of registry.all()) {
      // Tells the next process why the executors ended.
      journal.cancelled(run.runId, { kind: "shutdown" });
      run.kill();
      cgroups.kill(run.runId);
    }
    watchdog.end();
  }

  /**
   * Leaves the executors to the next process of this runner, which adopts them. The program must exit at once. Stops
   * nothing and reports nothing: a runner may be killed at any moment, so everything is prepared already.
   */
  handOver(): void {
    const { registry, journal } = this.#parts;
    this.#log.info(`Handing over ${registry.size} run(s) to the next process`);
    journal[Symbol.dispose]();
  }

  /** Runs until the runner has left. Call it once. Rejects with a UserError if the coordinator refuses the runner. */
  async run(): Promise<RunnerEnd> {
    const { config, gateway, intake, lifecycle, registration, registry, dispatcher, runsFolder, log } = this.#parts;
    using _owned = this.#parts.owned;
    this.#log.info(`Connecting to Agent Coordinator at ${shownUrl(config.coordinatorUrl)}`);
    lifecycle.start();
    await using _gateway = gateway;
    await using _outsiders = await listenForOutsiders(
      config,
      this.#parts.serveTools,
      (sessionId) => gateway.outsideCaller(sessionId),
      log.scope("mcp"),
    );
    using _retention = keepRetention(runsFolder, config.retention, this.#log);
    // Does not wait for the coordinator: executors need their watch and their gateway at once.
    await adoptRuns(registry, dispatcher, this.#parts);
    const roomChecked = intake.check();
    await registration.register(lifecycle.draining);
    await roomChecked;
    intake.onFault();
    if (lifecycle.draining.aborted) {
      // The interrupt may have come while the registration succeeded.
      await registration.close();
      await this.#parts.leftovers.settled();
      return this.#end();
    }
    this.#parts.journal.keepMs = registration.keepOutcomesMs ?? this.#parts.journal.keepMs;
    using _heartbeat = startHeartbeat({
      ...this.#parts,
      log: log.scope("heartbeat"),
      onFailure: () => this.#parts.observer.heartbeatFailed(),
    });
    this.#log.info(`Registered as ${registration.runnerId}`);
    lifecycle.online();
    this.#log.info("Runner started - waiting for runs");
    await this.#work();
    return this.#end();
  }

  /** Polls and executes until the runner drains, then leaves. */
  async #work(): Promise<void> {
    const { lifecycle, registration, lostClaims, poller, log } = this.#parts;
    if (registration.isReused) lostClaims.expect({ isGhostPossible: true });
    const done = new AbortController();
    const stops = watchForStops({
      ...this.#parts,
      log: log.scope("poller"),
      isNeeded: () => !registration.takesCapacity && !poller.mayClaim,
      onStop: stopRun,
      signal: done.signal,
    });
    const memory = freeMemoryWhenIdle({ ...this.#parts, signal: done.signal });
    const polling = poller.run();

    await aborted(lifecycle.draining);
    poller.stopTaking();
    await leave({ ...this.#parts, log: this.#log, stopping: lifecycle.stopping });
    poller.abandon();
    done.abort();
    lostClaims[Symbol.dispose]();
    await Promise.all([polling, stops, memory]);
  }

  #end(): RunnerEnd {
    const { link, registry, lifecycle } = this.#parts;
    link.close();
    const left = registry.all();
    for (const run of left)
      this.#log.error(`Run ${run.runId} is not reported yet; the next start reports it`, run.context);
    lifecycle.left();
    this.#log.info("Runner left");
    return { reason: lifecycle.reason, unreported: left.map((run) => run.runId) };
  }
}
