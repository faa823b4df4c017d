import { realpathSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Executor } from "../catalog/executor.ts";
import { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Authorization } from "../client/credentials.ts";
import type { Config } from "../config/load-config.ts";
import { Gateway } from "../gateway/gateway.ts";
import type { Log } from "../log.ts";
import { Leftovers } from "../process/leftovers.ts";
import { OutputWatch } from "../process/output/output-watch.ts";
import { identityOfPath } from "../paths.ts";
import { privateFolder } from "../process/private-folder.ts";
import { RunCgroups } from "../process/run-cgroups.ts";
import { startFault } from "../process/spawn.ts";
import { requireRoom } from "../process/shortage.ts";
import { Watchdog } from "../process/watchdog.ts";
import type { PollMessage } from "../protocol/poll.ts";
import { Dispatcher } from "./dispatcher.ts";
import { type AbandonedRunner, watchdogMarker } from "./end-abandoned.ts";
import { rebuildJournal } from "./execution/run-record.ts";
import type { RunnerParts } from "./execution/runner-parts.ts";
import { claimMachine, lockIdentity, locksFolder, type RunnerIdentity } from "./identity-lock.ts";
import { Journal } from "./journal/journal.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Link } from "./link/link.ts";
import { Registration } from "./link/registration.ts";
import { orchestrationTools } from "./orchestration.ts";
import { Hooks } from "./polling/hooks.ts";
import { LostClaims } from "./polling/lost-claims.ts";
import { Poller } from "./polling/poller.ts";
import { Reconciler } from "./polling/reconcile.ts";
import type { RunnerState } from "./runner-state.ts";
import { Runner, type WiredParts } from "./runner.ts";
import { Bell } from "./runs/bell.ts";
import { CannotRun, Intake } from "./runs/intake.ts";
import { type RunnerObserver, unobserved } from "./runs/observer.ts";
import { QuickFailures } from "./runs/quick-failures.ts";
import { RunRegistry } from "./runs/run-registry.ts";

export interface RunnerOptions {
  readonly config: Config;
  readonly executor: Executor;
  readonly authorization: Authorization;
  readonly inheritedEnv: Readonly<Record<string, string>>;
  /** The words that start this program. */
  readonly selfCommand: readonly string[];
  /** The words after them that start this runner again. */
  readonly restartWords: readonly string[];
  readonly log: Log;
  /** Called with `starting`, then with each state that the runner enters. */
  readonly onState?: (state: RunnerState) => void;
  readonly observer?: RunnerObserver;
}

/**
 * Makes every part of a runner and starts none. Takes the identity lock, opens the journal and binds the gateway's
 * port; `Runner.run` releases them. Throws a UserError if another runner holds the lock, or if the journal cannot be
 * opened.
 */
export function createRunner(options: RunnerOptions): Runner {
  const { config, executor } = options;
  const log = options.log.scope("agent-runner");
  const identity = identityOf(options);
  using stack = new DisposableStack();
  const stateDir = realpathSync(config.stateDir);
  const restart = { stateDir, words: options.restartWords };
  const lock = stack.use(lockIdentity(identity, locksFolder(config), restart));
  const isAlone = stack.use(claimMachine(identity)) !== null;

  const bell = new Bell();
  const { journal, intake, runsFolder } = stateParts(options, lock.key, bell, log, stack);
  const registry = new RunRegistry(config.maxConcurrent, bell, (runId) => journal.isDone(runId));
  const lifecycle = new Lifecycle({
    registry,
    log,
    drainTimeoutMs: config.drainTimeoutMs,
    maxOfflineMs: config.maxOfflineMs,
    onState: options.onState ?? (() => {}),
  });
  const { coordinator, link, registration } = connectionParts(options, identity, isAlone, lifecycle, journal);
  const serveTools = orchestrationTools({
    coordinator,
    draining: lifecycle.draining,
    waits: (runId) => registry.waits(runId),
    log: options.log.scope("mcp"),
  });
  const gateway = new Gateway({
    hostname: identity.hostname,
    executorType: identity.executorType,
    coordinator,
    scope: config.gatewayScope,
    limits: config.treeLimits,
    bounds: {
      projectDir: config.projectDir,
      childrenAnywhere: config.childrenAnywhere,
      maxAttempts: config.childAttempts,
    },
    log: options.log.scope("gateway"),
    serveTools,
    port: journal.gatewayPort,
    identity: lock.key,
    avoidedPorts: lock.portsOfOthers(),
  });
  journal.gatewayPort = gateway.port;
  lock.recordPort(gateway.port);
  const cgroups = RunCgroups.open(lock.key, log);

  const parts: RunnerParts = {
    config,
    executor,
    coordinator,
    registration,
    gateway,
    journal,
    intake,
    quickFailures: new QuickFailures(intake),
    stopping: lifecycle.stopping,
    identityKey: lock.key,
    outputs: new OutputWatch(),
    leftovers: new Leftovers(cgroups),
    cgroups,
    watchdog: createWatchdog(options, lock.key, stateDir),
    observer: options.observer ?? unobserved,
    delivery: { link, renew: () => registration.renew(), log: options.log.scope("supervisor") },
    inheritedEnv: options.inheritedEnv,
    runsFolder,
    log: options.log,
  };
  const dispatcher = new Dispatcher(registry, parts, lifecycle.stopping, () => lifecycle.deregistered());
  const onMessage = (message: PollMessage): void => dispatcher.take(message);
  const polling = { coordinator, registration, registry, link, log: options.log.scope("poller"), onMessage };
  const reconciler = new Reconciler({
    ...polling,
    journal,
    fault: () => intake.fault,
    reportAgain: (runId, outcome) => dispatcher.reportAgain(runId, outcome),
    reportUnknown: (runId) => dispatcher.reportUnknown(runId),
  });
  const lostClaims = new LostClaims({ ...polling, reconciler, hooks: new Hooks(coordinator) });
  registration.onRenewed = () => lostClaims.expect();
  intake.onOpened = () => lostClaims.expect();
  // The coordinator shows it, and prefers other runners.
  intake.onFault = () => {
    if (registration.isRegistered && registration.reconciles) reconciler.exchange({ isQuiet: false }).catch(() => {});
  };
  const poller = new Poller({ ...polling, intake, bell, lostClaims });
  const owned = stack.move();
  return new Runner({
    ...parts,
    lifecycle,
    registry,
    bell,
    link,
    dispatcher,
    reconciler,
    lostClaims,
    poller,
    serveTools,
    owned,
  });
}

function createWatchdog(
  { config, inheritedEnv, selfCommand, log }: RunnerOptions,
  key: string,
  stateDir: string,
): Watchdog {
  const { abandonAfterMs: afterMs, keepBackground } = config;
  const runner: AbandonedRunner = { key, locksFolder: locksFolder(config), stateDir, keepBackground, afterMs };
  return new Watchdog({
    afterMs,
    command: [...selfCommand, "end-abandoned", JSON.stringify(runner)],
    marker: watchdogMarker(runner),
    env: inheritedEnv,
    log: log.scope("supervisor"),
  });
}

function identityOf({ config, executor }: RunnerOptions): RunnerIdentity {
  const { coordinatorUrl, projectDir } = config;
  const identity = { hostname: hostname(), projectDir: identityOfPath(projectDir), executorType: executor.name };
  return { coordinatorUrl, ...identity };
}

/** The parts between this runner and the coordinator. */
function connectionParts(
  { config, executor, authorization, log: root }: RunnerOptions,
  identity: RunnerIdentity,
  isAlone: boolean,
  lifecycle: Lifecycle,
  journal: Journal,
): Pick<WiredParts, "coordinator" | "link" | "registration"> {
  const log = root.scope("agent-runner");
  const instanceId = crypto.randomUUID();
  const coordinator = new CoordinatorClient(config.coordinatorUrl, authorization, instanceId);
  const link = new Link(log, config.maxOfflineMs, () => lifecycle.offlineTooLong());
  const registration = new Registration({
    ...identity,
    coordinator,
    link,
    log,
    executorCommand: executor.path ?? `built-in ${executor.name}`,
    tags: config.tags,
    isAlone,
    instanceId,
    supersedes: journal.beginInstance(instanceId),
    onSuperseded: () => lifecycle.superseded(),
    pollTimeoutSeconds: config.pollTimeoutSeconds,
    heartbeatIntervalSeconds: config.heartbeatIntervalSeconds,
  });
  return { coordinator, link, registration };
}

/** The parts in the state folder, and the intake, which closes when nothing can be written there. */
function stateParts(
  { config, executor, inheritedEnv }: RunnerOptions,
  key: string,
  bell: Bell,
  log: Log,
  stack: DisposableStack,
): Pick<WiredParts, "journal" | "intake" | "runsFolder"> {
  const { stateDir, projectDir } = config;
  const journal = stack.use(Journal.open(join(stateDir, "journals", `${key}.sqlite`), log));
  const hasRoom = async (): Promise<void> => {
    journal.requireRoom();
    await requireRoom(stateDir);
    const fault = startFault({ command: executor.command, env: { ...inheritedEnv, ...executor.env }, projectDir });
    if (fault !== null) throw new CannotRun(fault);
  };
  const intake = stack.use(new Intake({ log, bell, requireRoom: hasRoom }));
  journal.onFault = (error) => intake.close(error);
  const runsFolder = privateFolder(join(stateDir, "runs"));
  rebuildJournal(journal, runsFolder, key, log);
  return { journal, intake, runsFolder };
}
