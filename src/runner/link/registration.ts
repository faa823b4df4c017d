import { Backoff } from "../../async/backoff.ts";
import { type CoordinatorClient, duplicateRunner } from "../../client/coordinator-client.ts";
import { CoordinatorFailure, failureOfThrown } from "../../client/failure.ts";
import { UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Registered } from "../../protocol/runner.ts";
import { giveUpForOtherTags } from "./change-tags.ts";
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
  /** No other live runner on this machine has this identity: the one that the coordinator calls online is dead. */
  readonly isAlone: boolean;
  /** What the user set; it beats what the coordinator answers. */
  readonly pollTimeoutSeconds: number | undefined;
  readonly heartbeatIntervalSeconds: number | undefined;
}

const POLL_TIMEOUT_SECONDS = 30;
const HEARTBEAT_INTERVAL_SECONDS = 60;

/** This runner's standing with the coordinator: its id, and what was agreed. One registration is under way at a time. */
export class Registration {
  readonly #options: RegistrationOptions;
  #runnerId: string | undefined;
  #answer: Registered | undefined;
  #isRegistered = false;
  #renewing: Promise<void> | undefined;
  readonly #first = Promise.withResolvers<void>();
  #isReused = false;
  #isClosed = false;
  /** Called after each new registration: what was claimed before may have been lost. */
  onRenewed: () => void = () => {};

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get runnerId(): string {
    if (this.#runnerId === undefined) throw new Error("not registered yet");
    return this.#runnerId;
  }

  /** The runner's id, as soon as there is one. */
  async id(): Promise<string> {
    await this.#first.promise;
    return this.runnerId;
  }

  /** As far as is known here. A report that is answered 401 registers again, even while the runner leaves. */
  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** The coordinator has said that this runner is registered no more. */
  lost(): void {
    this.#isRegistered = false;
  }

  /** Deregisters, and is not renewed any more: a last heartbeat must not bring a runner back that has left. */
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

  /** How long the coordinator may keep a poll open. The user's value never shortens it: a poll that is left early claims runs for nobody. */
  get pollTimeoutSeconds(): number {
    return Math.max(this.#answer?.poll_timeout_seconds ?? POLL_TIMEOUT_SECONDS, this.#options.pollTimeoutSeconds ?? 0);
  }

  get heartbeatIntervalSeconds(): number {
    return (
      this.#options.heartbeatIntervalSeconds ?? this.#answer?.heartbeat_interval_seconds ?? HEARTBEAT_INTERVAL_SECONDS
    );
  }

  /** Whether a poll may say `capacity=0` and then brings stop commands only. */
  get takesCapacity(): boolean {
    return this.#answer?.capabilities?.includes("capacity") ?? false;
  }

  /** Whether the coordinator asks runners for the output of their runs, where they say that they can show it. */
  get showsOutput(): boolean {
    return this.#answer?.capabilities?.includes("output") ?? false;
  }

  /** The registration was that of an earlier start, which is dead; a poll of it may still be open at the coordinator. */
  get isReused(): boolean {
    return this.#isReused;
  }

  /** The first registration: waits for the coordinator as long as it takes; a refusal is a UserError. */
  async register(signal: AbortSignal): Promise<void> {
    const { link, coordinator } = this.#options;
    const backoff = new Backoff();
    while (!signal.aborted) {
      try {
        await this.#attempt(signal);
        link.up();
        return;
      } catch (error) {
        const failure = failureOfThrown("register", error);
        if (failure.kind === "refused" || failure.kind === "unregistered") throw refusal(failure, coordinator.baseUrl);
        link.down(failure);
        await link.pause(backoff.nextMs(), signal);
      }
    }
  }

  /** Registers again, once for all who ask meanwhile: after a 401, or after a silence that made the coordinator call us stale. */
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
      // Whoever asked goes on trying, and asks again.
      if (failure.isRetryable) link.down(failure);
      else log.warn(`The coordinator refuses to register this runner: ${failure.message}`);
    }
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
      if (isFirst && (await giveUpForOtherTags(coordinator, runnerId, tags, log)))
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
    if (duplicate === null || !isAlone || (duplicate.hostname !== null && duplicate.hostname !== hostname))
      throw failure;
    try {
      await coordinator.heartbeat(duplicate.runner_id, []);
    } catch (error) {
      const { kind, message } = failureOfThrown("heartbeat", error);
      // Removed between the two calls: the next attempt registers.
      throw kind === "unregistered" ? new CoordinatorFailure("unavailable", message) : error;
    }
    if (this.#runnerId !== duplicate.runner_id) {
      this.#isReused = true;
      log.info(`Taking up the registration ${duplicate.runner_id} of an earlier start`);
    }
    this.#agree({ ...this.#answer, ...duplicate });
    return duplicate.runner_id;
  }

  /** The superset that both generations accept; what is empty is left out, as the Python runners do. */
  #body(): object {
    const { hostname, projectDir, executorType, executorCommand, tags } = this.#options;
    return {
      hostname,
      project_dir: projectDir,
      executor_type: executorType,
      executor_profile: executorType,
      executor: { type: "autonomous", command: executorCommand, config: {}, lifecycle: "one_shot" },
      ...(tags.length === 0 ? {} : { tags }),
    };
  }
}

function refusal(failure: CoordinatorFailure, url: string): UserError {
  if (failure.kind === "unregistered") {
    return new UserError(`The Agent Coordinator at ${url} refuses this runner's credentials: ${failure.message}`, {
      hint: "Set AGENT_COORDINATOR_TOKEN to the coordinator's token (or the four AUTH0 variables for an OIDC one).",
      cause: failure,
    });
  }
  if (failure.status === 404 || failure.status === 405) {
    return new UserError(`What answers at ${url} is not an Agent Coordinator: ${failure.message}`, {
      hint: "Check --coordinator-url, or start a coordinator here with: agent-runner coordinator",
      cause: failure,
    });
  }
  if (duplicateRunner(failure) !== null) {
    return new UserError(
      `A runner with this host name, project directory and executor is online at ${url}: ${failure.message}`,
      {
        hint: "Stop that one, or give this one another --project-dir or executor.",
        cause: failure,
      },
    );
  }
  return new UserError(`The Agent Coordinator at ${url} refuses to register this runner: ${failure.message}`, {
    cause: failure,
  });
}
