import { hostname } from "node:os";
import { join } from "node:path";
import { aborted } from "../async/aborted.ts";
import { delay } from "../async/delay.ts";
import { describeMs } from "../async/describe-ms.ts";
import type { Executor } from "../catalog/executor.ts";
import { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Authorization } from "../client/credentials.ts";
import type { Config } from "../config/load-config.ts";
import type { ServeTools } from "../gateway/caller.ts";
import { Gateway } from "../gateway/gateway.ts";
import type { Log } from "../log.ts";
import { OutputWatch } from "../process/output-watch.ts";
import { privateFolder } from "../process/private-folder.ts";
import { Leftovers } from "../process/leftovers.ts";
import { RunCgroups } from "../process/run-cgroups.ts";
import { requireRoom } from "../process/shortage.ts";
import type { PollMessage } from "../protocol/poll.ts";
import { adoptRuns } from "./adopt-runs.ts";
import { Dispatcher, stopRun } from "./dispatcher.ts";
import { startHeartbeat } from "./polling/heartbeat.ts";
import { claimMachine, lockIdentity, locksFolder } from "./identity-lock.ts";
import { Bell } from "./runs/bell.ts";
import { Intake } from "./runs/intake.ts";
import { Journal } from "./journal/journal.ts";
import { leave } from "./leave.ts";
import { Link } from "./link/link.ts";
import { LostClaims } from "./polling/lost-claims.ts";
import { listenForOutsiders, orchestrationTools } from "./orchestration.ts";
import { Poller } from "./polling/poller.ts";
import { Registration } from "./link/registration.ts";
import { RunRegistry } from "./runs/run-registry.ts";
import { keepRetention } from "./retention.ts";
import { rebuildJournal } from "./execution/run-record.ts";
import { type RunnerObserver, unobserved } from "./runs/observer.ts";
import { ORDER_OF_STATES, type RunnerState } from "./runner-state.ts";
import type { RunnerStatus } from "./runner-status.ts";
import type { RunnerParts } from "./execution/runner-parts.ts";
import { watchForStops } from "./polling/stop-watch.ts";

/** `unreported`: runs whose end the coordinator was not told, because it was away until the end; the next start does it. */
export interface RunnerEnd {
  readonly reason: "interrupted" | "deregistered" | "offline";
  readonly unreported: readonly string[];
}

export interface RunnerOptions {
  readonly config: Config;
  readonly executor: Executor;
  readonly authorization: Authorization;
  readonly inheritedEnv: Readonly<Record<string, string>>;
  readonly log: Log;
  /** Called with `starting` when this runner is the only one of its identity, then with each state that it comes to. */
  readonly onState?: (state: RunnerState) => void;
  readonly observer?: RunnerObserver;
}

const TELL_WAITING_MS = 30_000;

/** The runner: registers, polls, executes, heartbeats, and leaves without losing a run. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #log: Log;
  readonly #coordinator: CoordinatorClient;
  readonly #link: Link;
  readonly #bell = new Bell();
  readonly #registry: RunRegistry;
  readonly #registration: Registration;
  /** Fires when no more runs are to be taken. */
  readonly #draining = new AbortController();
  /** Fires when the runs are to be stopped. */
  readonly #stopping = new AbortController();
  #state: RunnerState = "starting";
  #journal: Journal | undefined;
  #cgroups: RunCgroups | undefined;
  #intake: Intake | undefined;
  #isAlone = false;
  #reason: RunnerEnd["reason"] = "interrupted";

  constructor(options: RunnerOptions) {
    const { config, executor, authorization, log } = options;
    this.#options = options;
    this.#log = log.scope("agent-runner");
    this.#coordinator = new CoordinatorClient(config.coordinatorUrl, authorization);
    this.#link = new Link(this.#log, config.maxOfflineMs, () => this.#onOfflineTooLong());
    this.#registry = new RunRegistry(config.maxConcurrent, this.#bell);
    this.#registration = new Registration({
      coordinator: this.#coordinator,
      link: this.#link,
      log: this.#log,
      hostname: hostname(),
      projectDir: config.projectDir,
      executorType: executor.name,
      executorCommand: executor.path ?? `built-in ${executor.name}`,
      tags: config.tags,
      isAlone: () => this.#isAlone,
      pollTimeoutSeconds: config.pollTimeoutSeconds,
      heartbeatIntervalSeconds: config.heartbeatIntervalSeconds,
    });
  }

  get state(): RunnerState {
    return this.#state;
  }

  status(): RunnerStatus {
    return {
      state: this.#state,
      runnerId: this.#registration.isRegistered ? this.#registration.runnerId : null,
      isCoordinatorUp: this.#link.lastAnswerAtMs !== null && !this.#link.isDown,
      lastAnswerAtMs: this.#link.lastAnswerAtMs,
      lastCallAtMs: this.#link.lastCallAtMs,
      heartbeatIntervalMs: this.#registration.heartbeatIntervalSeconds * 1000,
      hasRoom: this.#intake?.isClosed !== true,
      runs: this.#registry.all(),
    };
  }

  /** The first call drains, the second stops the runs. A third is the caller's: see `killAll`. */
  interrupt(): void {
    if (this.#state === "starting" || this.#state === "online") this.#drain("interrupted");
    else if (this.#state === "draining") this.#stopRuns();
  }

  /** SIGKILL to every executor and all that is in its cgroup, now: for a program that exits at once. */
  killAll(): void {
    for (const run of this.#registry.all()) {
      // The next start then knows why they ended.
      this.#journal?.cancelled(run.runId, { kind: "shutdown" });
      run.kill();
      this.#cgroups?.kill(run.runId);
    }
  }

  /**
   * For a program that exits right after: nothing is stopped, nobody is told. The coordinator goes on counting this runner as there, and
   * the next start takes up its runs. Since a runner may be killed at any moment, there is nothing left to prepare.
   */
  handOver(): void {
    const { size } = this.#registry;
    this.#log.info(`Handing over ${size} run(s) to the next start`);
    this.#journal?.[Symbol.dispose]();
  }

  /** Runs until the runner has left. Rejects with a UserError where it cannot start: locked, refused. */
  async run(): Promise<RunnerEnd> {
    const { config, executor, log } = this.#options;
    this.#log.info(`Connecting to Agent Coordinator at ${config.coordinatorUrl}`);
    const identity = {
      coordinatorUrl: config.coordinatorUrl,
      hostname: hostname(),
      projectDir: config.projectDir,
      executorType: executor.name,
    };
    using lock = lockIdentity(identity, locksFolder(config));
    this.#options.onState?.(this.#state);
    using machine = claimMachine(identity);
    this.#isAlone = machine !== null;
    using intake = this.#makeIntake();
    this.#intake = intake;
    const journalPath = join(config.stateDir, "journals", `${lock.key}.sqlite`);
    using journal = Journal.open(journalPath, this.#log, (error) => intake.close(error));
    const runsFolder = privateFolder(join(config.stateDir, "runs"));
    rebuildJournal(journal, runsFolder, lock.key, this.#log);
    const serveTools = orchestrationTools({
      coordinator: this.#coordinator,
      draining: this.#draining.signal,
      waits: (runId) => this.#registry.waits(runId),
      log: log.scope("mcp"),
    });
    // Before the gateway: from when it listens to when the runs' tokens are good again nothing may be waited for.
    const cgroups = RunCgroups.open(lock.key, this.#log);
    this.#cgroups = cgroups;
    await using _outsiders = await listenForOutsiders(
      config,
      serveTools,
      (sessionId) => gateway.outsideCaller(sessionId),
      log.scope("mcp"),
    );
    await using gateway = this.#openGateway(serveTools, journal.gatewayPort);
    journal.gatewayPort = gateway.port;
    this.#journal = journal;
    const parts = this.#partsWith({ gateway, journal, intake, cgroups, runsFolder, identityKey: lock.key });
    using _retention = keepRetention(runsFolder, config.retention, this.#log);
    const dispatcher = new Dispatcher(this.#registry, parts, this.#stopping.signal, () => this.#onDeregistered());
    // Before the coordinator is reached: executors that an earlier start left are watched, and heard, at once.
    await adoptRuns(this.#registry, dispatcher, parts);
    // Meanwhile: neither needs the other, and both take milliseconds.
    const looked = intake.look();
    await this.#registration.register(this.#draining.signal);
    if (this.#draining.signal.aborted) {
      // The interrupt may have come while the registration was succeeding.
      await this.#registration.close();
      return this.#end();
    }
    const common = {
      coordinator: this.#coordinator,
      registration: this.#registration,
      registry: this.#registry,
      link: this.#link,
      intake,
      bell: this.#bell,
    };
    await looked;
    using _heartbeat = startHeartbeat({
      ...common,
      log: log.scope("heartbeat"),
      onFailure: () => this.#observer.heartbeatFailed(),
    });
    this.#log.info(`Registered as ${this.#registration.runnerId}`);
    this.#moveTo("online");
    this.#log.info("Runner started - waiting for runs");
    await this.#work(dispatcher, common);
    return this.#end();
  }

  /** Polls and executes until the runner is to leave, then leaves. */
  async #work(dispatcher: Dispatcher, common: CommonParts): Promise<void> {
    const log = this.#options.log.scope("poller");
    const onMessage = (message: PollMessage): void => dispatcher.take(message);
    const lostClaims = new LostClaims({ ...common, log, onMessage });
    if (common.registration.isReused) lostClaims.expect({ isGhostPossible: true });
    common.registration.onRenewed = () => lostClaims.expect();
    const poller = new Poller({ ...common, log, onMessage, lostClaims });
    const { registry, registration, intake } = common;
    const done = new AbortController();
    const stops = watchForStops({
      ...common,
      log,
      isNeeded: () =>
        !registration.takesCapacity && (registry.isFull || intake.isClosed || this.#draining.signal.aborted),
      onStop: stopRun,
      signal: done.signal,
    });
    const polling = poller.run();

    await aborted(this.#draining.signal);
    poller.stopTaking();
    await leave({ ...common, dispatcher, poller, log: this.#log, stopping: this.#stopping.signal });
    poller.abandon();
    done.abort();
    await Promise.all([polling, stops]);
  }

  get #observer(): RunnerObserver {
    return this.#options.observer ?? unobserved;
  }

  #openGateway(serveTools: ServeTools, port: number | null): Gateway {
    const { config, executor, log } = this.#options;
    return new Gateway({
      coordinator: this.#coordinator,
      scope: config.gatewayScope,
      limits: config.treeLimits,
      hostname: hostname(),
      executorType: executor.name,
      log: log.scope("gateway"),
      serveTools,
      port,
    });
  }

  #makeIntake(): Intake {
    const requireAllRoom = async (): Promise<void> => {
      this.#journal?.requireRoom();
      await requireRoom(this.#options.config.stateDir);
    };
    return new Intake({ log: this.#log, requireRoom: requireAllRoom, bell: this.#bell });
  }

  #partsWith(
    own: Pick<RunnerParts, "gateway" | "journal" | "intake" | "cgroups" | "runsFolder" | "identityKey">,
  ): RunnerParts {
    const { config, executor, inheritedEnv, log } = this.#options;
    return {
      ...own,
      config,
      executor,
      coordinator: this.#coordinator,
      registration: this.#registration,
      outputs: new OutputWatch(),
      leftovers: new Leftovers(own.cgroups),
      observer: this.#observer,
      delivery: { link: this.#link, renew: () => this.#registration.renew(), log: log.scope("supervisor") },
      inheritedEnv,
      log,
    };
  }

  #drain(reason: RunnerEnd["reason"]): void {
    const { config } = this.#options;
    this.#reason = reason;
    this.#moveTo("draining");
    const count = this.#registry.size;
    const limit = config.drainTimeoutMs > 0 ? `, at most ${describeMs(config.drainTimeoutMs)}` : "";
    const how = reason === "deregistered" ? "Deregistered by the coordinator" : "Shutting down";
    this.#log.info(count === 0 ? how : `${how}: waiting for ${count} run(s)${limit}; interrupt again to stop them`);
    this.#draining.abort();
    if (config.drainTimeoutMs > 0) void this.#stopAfter(config.drainTimeoutMs);
    void this.#tellWaiting();
  }

  async #tellWaiting(): Promise<void> {
    const sinceMs = performance.now();
    for (;;) {
      await delay(TELL_WAITING_MS, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      this.#log.info(
        `Still waiting for ${this.#registry.size} run(s), for ${describeMs(performance.now() - sinceMs)} now`,
      );
    }
  }

  async #stopAfter(ms: number): Promise<void> {
    await delay(ms, this.#stopping.signal);
    if (this.#state === "draining") this.#stopRuns();
  }

  #stopRuns(): void {
    this.#moveTo("stopping");
    const { executing } = this.#registry;
    if (executing > 0) this.#log.info(`Stopping ${executing} run(s); interrupt again to exit at once`);
    for (const run of this.#registry.all()) run.cancel({ kind: "shutdown" });
    this.#stopping.abort();
  }

  #onDeregistered(): void {
    if (this.#state === "online") this.#drain("deregistered");
  }

  #onOfflineTooLong(): void {
    this.#log.error(`Agent Coordinator has been away for ${describeMs(this.#options.config.maxOfflineMs)}: giving up`);
    if (this.#state === "starting" || this.#state === "online") this.#drain("offline");
    this.#reason = "offline";
    if (this.#state === "draining") this.#stopRuns();
  }

  #end(): RunnerEnd {
    this.#link.close();
    const unreported = this.#registry.all().map((run) => run.runId);
    for (const run of this.#registry.all())
      this.#log.error(`Run ${run.runId} is not reported yet; the next start does it`, run.context);
    this.#moveTo("left");
    // Ends the timers of a drain that went by itself.
    this.#stopping.abort();
    this.#log.info("Runner left");
    return { reason: this.#reason, unreported };
  }

  #moveTo(next: RunnerState): void {
    if (ORDER_OF_STATES.indexOf(next) <= ORDER_OF_STATES.indexOf(this.#state))
      throw new Error(`no way from ${this.#state} to ${next}`);
    this.#log.debug(`${this.#state} -> ${next}`);
    this.#state = next;
    this.#options.onState?.(next);
  }
}

interface CommonParts {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  readonly link: Link;
  readonly intake: Intake;
  readonly bell: Bell;
}
