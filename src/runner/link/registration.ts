import { Backoff } from "../../async/backoff.ts";
import { delay } from "../../async/delay.ts";
import { type CoordinatorClient, duplicateRunner } from "../../client/coordinator-client.ts";
import { certificateHint, CoordinatorFailure, failureOfThrown, forbiddenHint } from "../../client/failure.ts";
import { UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { shownUrl } from "../../protocol/shown-url.ts";
import type { Registered } from "../../protocol/runner.ts";
import { deregisterIfTagsDiffer } from "./change-tags.ts";
import type { Link } from "./link.ts";

export interface RegistrationOptions {
  readonly coordinator: CoordinatorClient;
  readonly link: Link;
  readonly log: Log;
  readonly hostname: string;
  readonly projectDir: string;
  readonly executorType: string;
  /** The command of the executor, for a coordinator of the second generation. */
  readonly executorCommand: string;
  readonly tags: readonly string[];
  /** No other live runner on this machine has this identity, so the one that the coordinator calls online is dead. */
  readonly isAlone: boolean;
  /** Names this process of the runner. */
  readonly instanceId: string;
  /** Earlier processes of this runner, which are dead. */
  readonly supersedes: readonly string[];
  /** Another process of this identity is alive elsewhere and has the registration. */
  readonly onSuperseded: () => void;
  /** The user's settings. They take precedence over the coordinator's answer. */
  readonly pollTimeoutSeconds: number | undefined;
  readonly heartbeatIntervalSeconds: number | undefined;
}

const POLL_TIMEOUT_SECONDS = 30;
const HEARTBEAT_INTERVAL_SECONDS = 60;
/** Longer than a poll of a dead runner can look alive. */
const OTHER_INSTANCE_MS = 45_000;
const OTHER_INSTANCE_PAUSE_MS = 1_000;

function isLive(failure: CoordinatorFailure): boolean {
  return duplicateRunner(failure)?.is_live === true;
}

/** The registration of this runner: its id and the agreed intervals. Makes one register call at a time. */
export class Registration {
  readonly #options: RegistrationOptions;
  #runnerId: string | undefined;
  #answer: Registered | undefined;
  #isRegistered = false;
  #renewing: Promise<void> | undefined;
  readonly #first = Promise.withResolvers<void>();
  #isReused = false;
  #isClosed = false;
  #hasWarned = false;
  /** Called after each new registration: earlier claims may be lost. */
  onRenewed: () => void = () => {};

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get runnerId(): string {
    if (this.#runnerId === undefined) throw new Error("not registered yet");
    return this.#runnerId;
  }

  /** Resolves to the runner's id after the first registration. */
  async id(): Promise<string> {
    await this.#first.promise;
    return this.runnerId;
  }

  /** As far as the runner knows. A 401 to a report makes it register again, even while it leaves. */
  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** Call it when the coordinator has deregistered the runner. */
  lost(): void {
    this.#isRegistered = false;
  }

  /** Deregisters. `renew` does nothing from then on: a late heartbeat must not register a runner that has left. */
  async close(): Promise<void> {
    const { coordinator, link, log } = this.#options;
    this.#isClosed = true;
    await this.#renewing;
    if (!this.#isRegistered || link.isDown) return;
    try {
      await coordinator.deregister(this.runnerId, { self: true });
    } catch (error) {
      log.debug(`Could not deregister: ${failureOfThrown("deregister", error).message}`);
    }
  }

  /**
   * How long the coordinator may keep a poll open. The user cannot shorten it: the coordinator may still claim a run
   * for a poll that the runner has abandoned.
   */
  get pollTimeoutSeconds(): number {
    return Math.max(this.#answer?.poll_timeout_seconds ?? POLL_TIMEOUT_SECONDS, this.#options.pollTimeoutSeconds ?? 0);
  }

  get heartbeatIntervalSeconds(): number {
    return (
      this.#options.heartbeatIntervalSeconds ?? this.#answer?.heartbeat_interval_seconds ?? HEARTBEAT_INTERVAL_SECONDS
    );
  }

  /** Whether the coordinator takes polls with `capacity=0`, which bring stop commands only. */
  get takesCapacity(): boolean {
    return this.#answer?.capabilities?.includes("capacity") ?? false;
  }

  /** Whether the coordinator takes back a run that this machine cannot execute. */
  get takesReturns(): boolean {
    return this.#answer?.capabilities?.includes("return") ?? false;
  }

  /** Whether the coordinator may ask runners for the output of their runs. */
  get showsOutput(): boolean {
    return this.#answer?.capabilities?.includes("output") ?? false;
  }

  /** Whether a heartbeat may name the held runs, and is answered with the coordinator's view. */
  get reconciles(): boolean {
    return this.#answer?.capabilities?.includes("reconcile") ?? false;
  }

  /** How long the coordinator asks the runner to keep outcomes; undefined if it does not say. */
  get keepOutcomesMs(): number | undefined {
    const seconds = this.#answer?.keep_outcomes_seconds;
    return seconds == null ? undefined : seconds * 1_000;
  }

  /** The registration was that of an earlier process. A poll of that process may still be open at the coordinator. */
  get isReused(): boolean {
    return this.#isReused;
  }

  /** Registers for the first time. Retries until the coordinator answers. Rejects with a UserError if it refuses. */
  async register(signal: AbortSignal): Promise<void> {
    const { link, coordinator } = this.#options;
    const backoff = new Backoff();
    const giveUpMs = performance.now() + OTHER_INSTANCE_MS;
    while (!signal.aborted) {
      try {
        await this.#attempt(signal);
        link.up();
        return;
      } catch (error) {
        const failure = failureOfThrown("register", error);
        if (isLive(failure) && performance.now() < giveUpMs) {
          this.#warnOfOther();
          await delay(OTHER_INSTANCE_PAUSE_MS, signal);
          continue;
        }
        if (failure.kind !== "unreachable" && failure.kind !== "unavailable")
          throw refusal(failure, coordinator.baseUrl);
        link.down(failure);
        await link.pause(backoff.nextMs(), signal);
      }
    }
  }

  /** Registers again after a 401 or a long silence. Concurrent callers share one attempt. Never rejects. */
  renew(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const { link, log } = this.#options;
    try {
      const before = this.#runnerId;
      await this.#attempt();
      link.up();
      this.onRenewed();
      log.info(`Registered again as ${this.runnerId}${before === this.#runnerId ? "" : ` (before: ${before})`}`);
    } catch (error) {
      const failure = failureOfThrown("register", error);
      // The caller retries its own call, and so calls `renew` again.
      if (failure.isRetryable) link.down(failure);
      else if (isLive(failure)) this.#supersede();
      else log.warn(`The coordinator refuses to register this runner: ${failure.message}`);
    }
  }

  /** A machine that lost its power leaves a poll open for up to its time-out, which looks like a living runner. */
  #warnOfOther(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.log.warn(
      "Another runner of this host name, project directory and executor is online: " +
        `waiting up to ${OTHER_INSTANCE_MS / 1000} s for it to leave`,
    );
  }

  /** Nothing is registered again: the two would take the registration from each other for ever. */
  #supersede(): void {
    this.#isClosed = true;
    this.#isRegistered = false;
    this.#options.onSuperseded();
  }

  #agree(answer: Registered): void {
    this.#answer = answer;
    this.#runnerId = answer.runner_id;
  }

  async #attempt(signal?: AbortSignal): Promise<void> {
    const { coordinator, tags, log } = this.#options;
    const isFirst = this.#runnerId === undefined;
    try {
      this.#agree(await coordinator.register(this.#body(), signal));
    } catch (error) {
      const runnerId = await this.#reuse(failureOfThrown("register", error));
      if (isFirst && (await deregisterIfTagsDiffer(coordinator, runnerId, tags, log)))
        this.#agree(await coordinator.register(this.#body(), signal));
    }
    this.#isRegistered = true;
    this.#first.resolve();
  }

  /**
   * Reuses the id of an earlier process of this runner, which the coordinator still calls online. No other runner on
   * this machine has this identity, so that process is dead. The coordinator accepts the id on every call
   * (`docs/protocol.md`, section 0).
   */
  async #reuse(failure: CoordinatorFailure): Promise<string> {
    const { coordinator, log, hostname, isAlone } = this.#options;
    const duplicate = duplicateRunner(failure);
    // A coordinator that knows instances says whether the other one is alive.
    const isOther = duplicate?.is_live === true || !isAlone;
    if (duplicate === null || isOther || (duplicate.hostname !== null && duplicate.hostname !== hostname))
      throw failure;
    try {
      await coordinator.heartbeat(duplicate.runner_id, { claimedRunIds: [] });
    } catch (error) {
      const { kind, message } = failureOfThrown("heartbeat", error);
      // Removed between the two calls: the next attempt registers.
      throw kind === "unregistered" ? new CoordinatorFailure("unavailable", message) : error;
    }
    if (this.#runnerId !== duplicate.runner_id) {
      this.#isReused = true;
      log.info(`Reusing the registration ${duplicate.runner_id} of an earlier process`);
    }
    this.#agree({ ...this.#answer, ...duplicate });
    return duplicate.runner_id;
  }

  /** The fields of both generations. Leaves out empty tags, as the Python runners do. */
  #body(): object {
    const { hostname, projectDir, executorType, executorCommand, tags } = this.#options;
    return {
      hostname,
      project_dir: projectDir,
      executor_type: executorType,
      executor_profile: executorType,
      instance_id: this.#options.instanceId,
      supersedes: this.#options.supersedes,
      executor: { type: "autonomous", command: executorCommand, config: {}, lifecycle: "one_shot" },
      ...(tags.length === 0 ? {} : { tags }),
    };
  }
}

function refusal(failure: CoordinatorFailure, baseUrl: string): UserError {
  const url = shownUrl(baseUrl);
  if (failure.kind === "moved") {
    return new UserError(`The Agent Coordinator is not at ${url}: ${failure.message}`, { cause: failure });
  }
  if (failure.kind === "untrusted") {
    return new UserError(`The Agent Coordinator at ${url} cannot be trusted: ${failure.message}`, {
      hint: certificateHint(failure),
      cause: failure,
    });
  }
  if (failure.status === 403) {
    return new UserError(`The Agent Coordinator at ${url} does not allow this runner: ${failure.message}`, {
      ...forbiddenHint(failure, baseUrl),
      cause: failure,
    });
  }
  if (failure.kind === "unregistered") {
    return new UserError(`The Agent Coordinator at ${url} refuses this runner's credentials: ${failure.message}`, {
      // The gateway of a run needs no token of the coordinator.
      ...(url === baseUrl
        ? { hint: "Set AGENT_COORDINATOR_TOKEN to the coordinator's token, or the four AUTH0 variables for OIDC" }
        : {}),
      cause: failure,
    });
  }
  if (failure.status === 404 || failure.status === 405) {
    return new UserError(`The service at ${url} is not an Agent Coordinator: ${failure.message}`, {
      hint: "Check --coordinator-url, or start a coordinator here with: agent-runner coordinator",
      cause: failure,
    });
  }
  if (duplicateRunner(failure) !== null) {
    return new UserError(
      `A runner with this host name, project directory and executor is online at ${url}: ${failure.message}`,
      {
        hint: "Stop that runner, or give this one another --project-dir or executor",
        cause: failure,
      },
    );
  }
  return new UserError(`The Agent Coordinator at ${url} refuses to register this runner: ${failure.message}`, {
    cause: failure,
  });
}
