import type { Register } from "../../protocol/runner.ts";
import type { Deadlines } from "../store/deadlines.ts";
import type { Offer } from "./demands.ts";
import type { PollWaiters } from "./poll-waiters.ts";
import { Refusal, invalid } from "../store/refusal.ts";
import { isoTime, steadyMs } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { type CoordinatorTimings, type Terms, termsOf } from "../store/timings.ts";

export interface RunnerRow {
  readonly runner_id: string;
  readonly hostname: string;
  readonly project_dir: string;
  readonly executor_type: string;
  readonly executor_profile: string | null;
  /** JSON. */
  readonly tags: string;
  readonly status: "online" | "stale";
  readonly deregistered: number;
  readonly registered_at: string;
  readonly last_heartbeat: string;
  /**
   * The process that registered; null for runners that do not name it. A secret between the two: only the runner that
   * registered can send it.
   */
  readonly instance_id: string | null;
  /** In whose form the runner registered, and so the form of what it is sent. */
  readonly generation: "first" | "second";
  /** 1: takes only runs that demand one of its tags. */
  readonly require_matching_tags: number;
  /** The name of the token that registered the runner. */
  readonly token_name: string | null;
}

/** A runner that called less than this ago is alive, even between two polls. */
const LIVE_MS = 5_000;

/** The registered runners. They survive a restart of the coordinator, and its downtime does not count as silence. */
export class Runners {
  readonly #store: Store;
  readonly #terms: Terms;
  readonly #deadlines: Deadlines;
  readonly #staleAfterMs: number;
  readonly #waiters: PollWaiters;
  /** A runner that was not heard of since this start may be about to come back for as long as this. */
  readonly #returnMs: number;
  readonly #timings: CoordinatorTimings;
  // Monotonic: a clock that is set makes no runner silent.
  readonly #sinceMs = performance.now();
  readonly #heartbeatMs = new Map<string, number>();
  readonly #contactMs = new Map<string, number>();
  /** Why runners take no runs, as they say in heartbeats. */
  readonly #faults = new Map<string, string>();

  constructor(store: Store, deadlines: Deadlines, waiters: PollWaiters, timings: CoordinatorTimings) {
    this.#store = store;
    this.#terms = termsOf(timings);
    this.#deadlines = deadlines;
    this.#staleAfterMs = timings.staleAfterMs;
    this.#waiters = waiters;
    this.#timings = timings;
    this.#returnMs = timings.pollTimeoutMs + LIVE_MS;
  }

  find(runnerId: string): Promise<RunnerRow | null> {
    return this.#store.get<RunnerRow>("SELECT * FROM runners WHERE runner_id = ?", runnerId);
  }

  /** Refuses: unregistered; the runner then registers again. */
  async require(runnerId: string): Promise<RunnerRow> {
    const row = await this.find(runnerId);
    if (!row) throw new Refusal("unregistered", "Runner not registered");
    return row;
  }

  /**
   * The runner that calls, which is a sign of life. Refuses, unregistered: unknown, or not the instance that
   * registered. The runner then registers again, and hears whether another one is alive. The instance is a secret: a
   * web page or program that knows only the id of a runner must not claim its runs.
   */
  async requireCaller(runnerId: string, instanceId: string | null): Promise<RunnerRow> {
    const row = await this.require(runnerId);
    if (row.instance_id !== null && instanceId === null)
      throw new Refusal("unregistered", "This runner registered with an instance id, which is missing here");
    requireSame(row.instance_id, instanceId);
    this.#contact(runnerId);
    if (instanceId === null || row.instance_id !== null) return row;
    const adopt = "UPDATE runners SET instance_id = ? WHERE runner_id = ? AND instance_id IS NULL";
    await this.#store.write(() => this.#store.run(adopt, instanceId, runnerId));
    return { ...row, instance_id: instanceId };
  }

  /** Refuses, unregistered: another instance has registered since. A person at a terminal names no instance. */
  async requireCurrent(runnerId: string, instanceId: string | null): Promise<void> {
    requireSame((await this.find(runnerId))?.instance_id ?? null, instanceId);
  }

  /**
   * Registers a runner under an id derived from its identity. Refuses: conflict while a runner of that identity is
   * online. A runner of that identity that is stale or deregistered is replaced: it is the same runner after a restart.
   * Calls `admit` with the id and the earlier instance; what that throws refuses the registration.
   */
  async register(
    body: Register,
    tokenName: string | null,
    admit: (runnerId: string, instance: string | null) => Promise<void> = () => Promise.resolve(),
  ): Promise<string> {
    const executorType = body.executor_type ?? body.executor_profile;
    if (!executorType) throw invalid(["body", "executor_type"], "Field required", "missing");
    requireServed(body);
    const runnerId = runnerIdOf(body.hostname, body.project_dir, executorType);
    await this.#store.write(async () => {
      const known = await this.find(runnerId);
      await admit(runnerId, known?.instance_id ?? null);
      if (known?.status === "online" && known.deregistered === 0) this.#requireGone(known, body);
      const now = isoTime();
      await this.#store.run("DELETE FROM runners WHERE runner_id = ?", runnerId);
      await this.#store.run(
        `INSERT INTO runners
             (runner_id, hostname, project_dir, executor_type, executor_profile, tags, status, registered_at,
              last_heartbeat, instance_id, generation, require_matching_tags, token_name)
           VALUES (?, ?, ?, ?, ?, ?, 'online', ?, ?, ?, ?, ?, ?)
           ON CONFLICT (runner_id) DO UPDATE SET
             hostname = excluded.hostname, project_dir = excluded.project_dir, executor_type = excluded.executor_type,
             executor_profile = excluded.executor_profile, tags = excluded.tags, status = excluded.status,
             deregistered = 0, registered_at = excluded.registered_at, last_heartbeat = excluded.last_heartbeat,
             instance_id = excluded.instance_id, generation = excluded.generation,
             require_matching_tags = excluded.require_matching_tags, token_name = excluded.token_name`,
        runnerId,
        body.hostname,
        body.project_dir,
        executorType,
        body.executor_profile ?? null,
        JSON.stringify(body.tags ?? []),
        now,
        now,
        body.instance_id ?? null,
        // Our own runner registers in both forms, and reads the first.
        body.executor_type ? "first" : "second",
        body.require_matching_tags === true ? 1 : 0,
        tokenName,
      );
      // A poll of an earlier process may still look open here, and would claim a run for nobody.
      this.#store.afterCommit(() => this.#waiters.supersede(runnerId));
      this.#hear(runnerId);
    });
    return runnerId;
  }

  /** Refuses, conflict: the runner that has this identity is alive, or may be. */
  #requireGone(known: RunnerRow, { instance_id, supersedes }: Register): void {
    const old = known.instance_id;
    // A runner without an instance id takes a registration over by itself, by its id in the refusal.
    if (old === null || instance_id == null) throw duplicate(known, this.#terms, null);
    if (old === instance_id || supersedes?.includes(old) === true) return;
    if (this.#isLive(known.runner_id)) throw duplicate(known, this.#terms, true);
  }

  #isLive(runnerId: string): boolean {
    const contactMs = this.#contactMs.get(runnerId);
    const now = performance.now();
    if (contactMs === undefined) return now - this.#sinceMs < this.#returnMs;
    return this.#waiters.has(runnerId) || now - contactMs < LIVE_MS;
  }

  /** Records a sign of life: the runner is online again even if it was stale. Refuses: unregistered. */
  async heartbeat(runnerId: string): Promise<void> {
    await this.#store.write(async () => {
      await this.require(runnerId);
      // Before the row changes: the sweep compares both.
      this.#hear(runnerId);
      await this.#store.run(
        "UPDATE runners SET last_heartbeat = ?, status = 'online' WHERE runner_id = ?",
        isoTime(),
        runnerId,
      );
    });
  }

  /** Notes what the runner says about its machine: why it takes no runs, or null. Returns whether that has changed. */
  setFault(runnerId: string, fault: string | null): boolean {
    if ((this.#faults.get(runnerId) ?? null) === fault) return false;
    if (fault === null) this.#faults.delete(runnerId);
    else this.#faults.set(runnerId, fault);
    return true;
  }

  /** Whether the runner is there, and its machine can execute runs, as far as is known. */
  canRun({ runner_id, status, deregistered }: RunnerRow): boolean {
    return status === "online" && deregistered === 0 && !this.#faults.has(runner_id);
  }

  /** The answer to the runner's next poll tells it to shut down. Refuses: unknown. */
  async markDeregistered(runnerId: string): Promise<void> {
    await this.#store.write(async () => {
      if (!(await this.find(runnerId))) throw new Refusal("unknown", `Runner not found: ${runnerId}`);
      await this.#store.run("UPDATE runners SET deregistered = 1 WHERE runner_id = ?", runnerId);
    });
  }

  /** The ids of the runners that registered with this token. */
  async ofToken(name: string): Promise<string[]> {
    return (
      await this.#store.all<{ runner_id: string }>("SELECT runner_id FROM runners WHERE token_name = ?", name)
    ).map((row) => row.runner_id);
  }

  async markStale(runnerId: string): Promise<void> {
    await this.#store.run("UPDATE runners SET status = 'stale' WHERE runner_id = ?", runnerId);
  }

  async delete(runnerId: string): Promise<void> {
    this.#store.afterCommit(() => void this.#faults.delete(runnerId));
    await this.#store.run("DELETE FROM runners WHERE runner_id = ?", runnerId);
  }

  all(): Promise<RunnerRow[]> {
    return this.#store.all<RunnerRow>("SELECT * FROM runners ORDER BY registered_at, runner_id");
  }

  /** Schedules the sweep that marks the runner stale if it stays silent. */
  #hear(runnerId: string): void {
    this.#heartbeatMs.set(runnerId, performance.now());
    this.#contact(runnerId);
    this.#deadlines.expect(steadyMs() + this.#staleAfterMs);
  }

  /** Schedules the sweep that gives the runner up if it stays silent while it executes runs. */
  #contact(runnerId: string): void {
    this.#contactMs.set(runnerId, performance.now());
    this.#deadlines.expect(steadyMs() + this.#timings.lostAfterMs);
  }

  /** Time since the last heartbeat, not counting the coordinator's downtime. */
  silenceMs(runnerId: string): number {
    return performance.now() - (this.#heartbeatMs.get(runnerId) ?? this.#sinceMs);
  }

  /**
   * Time since the last call of any kind, not counting the coordinator's downtime; also of a runner that was removed.
   */
  withoutContactMs(runnerId: string): number {
    return performance.now() - (this.#contactMs.get(runnerId) ?? this.#sinceMs);
  }

  /** A runner as `GET /runners` shows it, with its active runs, of which some have started. */
  wire(runner: RunnerRow, activeRuns: number, startedRuns: number): object {
    const { deregistered: _, instance_id: _instance, token_name, tags, require_matching_tags, ...shown } = runner;
    const lostInMs = this.#timings.lostAfterMs - this.withoutContactMs(runner.runner_id);
    return {
      ...shown,
      registered_by: token_name,
      tags: JSON.parse(tags) as unknown,
      seconds_since_heartbeat: this.silenceMs(runner.runner_id) / 1_000,
      require_matching_tags: require_matching_tags === 1,
      active_runs: activeRuns,
      cannot_run: this.#faults.get(runner.runner_id) ?? null,
      // The runs of a silent runner are given up then.
      lost_in_seconds: runner.status === "stale" && startedRuns > 0 ? Math.max(0, lostInMs / 1_000) : null,
    };
  }
}

function requireSame(current: string | null, instanceId: string | null): void {
  if (instanceId !== null && current !== null && current !== instanceId)
    throw new Refusal("unregistered", "Another instance of this runner has registered");
}

/** Refuses, invalid: a runner of the second generation that this coordinator could not serve. */
function requireServed({ executor, agents }: Register): void {
  const refuse = (field: string, what: string): Refusal =>
    invalid(["body", field], `This coordinator does not serve ${what}: register an autonomous one-shot executor`);
  if ((executor?.type ?? "autonomous") !== "autonomous")
    throw refuse("executor", `executors of type ${executor?.type}`);
  if ((executor?.lifecycle ?? "one_shot") !== "one_shot")
    throw refuse("executor", `executors with lifecycle ${executor?.lifecycle}`);
  if ((agents ?? []).length > 0) throw refuse("agents", "agents that a runner owns");
}

export function offerOf(runner: RunnerRow): Offer {
  return { ...runner, tags: JSON.parse(runner.tags) as string[] };
}

/** The same identity has the same id in every coordinator of the first generation (`docs/protocol.md`, section 2). */
function runnerIdOf(hostname: string, projectDir: string, executorType: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`${hostname}:${projectDir}:${executorType}`).digest("hex");
  return `lnch_${digest.slice(0, 12)}`;
}

function duplicate(runner: RunnerRow, terms: Terms, isLive: true | null): Refusal {
  const { runner_id, hostname, project_dir, executor_type } = runner;
  const message = `A runner is already online for ${hostname}, ${project_dir}, ${executor_type}`;
  return new Refusal("conflict", {
    error: "duplicate_runner",
    message,
    runner_id,
    hostname,
    project_dir,
    executor_type,
    ...(isLive === null ? {} : { is_live: isLive }),
    ...terms,
  });
}
