import type { Register } from "../../protocol/runner.ts";
import type { Deadlines } from "../store/deadlines.ts";
import type { Offer } from "./demands.ts";
import { Refusal, invalid } from "../store/refusal.ts";
import { isoTime, type Store } from "../store/store.ts";
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
}

/** The registered runners. They survive a restart of the coordinator, and its downtime does not count as silence. */
export class Runners {
  readonly #store: Store;
  readonly #terms: Terms;
  readonly #deadlines: Deadlines;
  readonly #staleAfterMs: number;
  readonly #since = Date.now();

  constructor(store: Store, deadlines: Deadlines, timings: CoordinatorTimings) {
    this.#store = store;
    this.#terms = termsOf(timings);
    this.#deadlines = deadlines;
    this.#staleAfterMs = timings.staleAfterMs;
  }

  find(runnerId: string): RunnerRow | null {
    return this.#store.db.query<RunnerRow, [string]>("SELECT * FROM runners WHERE runner_id = ?").get(runnerId);
  }

  /** Refuses: unregistered; the runner then registers again. */
  require(runnerId: string): RunnerRow {
    const row = this.find(runnerId);
    if (!row) throw new Refusal("unregistered", "Runner not registered");
    return row;
  }

  /**
   * Registers a runner under an id derived from its identity. Refuses: conflict while a runner of that identity is
   * online. A runner of that identity that is stale or deregistered is replaced: it is the same runner after a restart.
   */
  register(body: Register): string {
    const executorType = body.executor_type ?? body.executor_profile;
    if (!executorType) throw invalid(["body", "executor_type"], "Field required", "missing");
    const runnerId = runnerIdOf(body.hostname, body.project_dir, executorType);
    this.#store.write(() => {
      const known = this.find(runnerId);
      if (known?.status === "online" && known.deregistered === 0) throw duplicate(known, this.#terms);
      const now = isoTime();
      this.#store.db
        .query(
          `INSERT OR REPLACE INTO runners
             (runner_id, hostname, project_dir, executor_type, executor_profile, tags, status, registered_at,
              last_heartbeat)
           VALUES (?, ?, ?, ?, ?, ?, 'online', ?, ?)`,
        )
        .run(
          runnerId,
          body.hostname,
          body.project_dir,
          executorType,
          body.executor_profile ?? null,
          JSON.stringify(body.tags ?? []),
          now,
          now,
        );
    });
    this.#expectSilence();
    return runnerId;
  }

  /** Records a sign of life: the runner is online again even if it was stale. Refuses: unregistered. */
  heartbeat(runnerId: string): void {
    this.#store.write(() => {
      this.require(runnerId);
      this.#store.db
        .query("UPDATE runners SET last_heartbeat = ?, status = 'online' WHERE runner_id = ?")
        .run(isoTime(), runnerId);
    });
    this.#expectSilence();
  }

  /** The answer to the runner's next poll tells it to shut down. Refuses: unknown. */
  markDeregistered(runnerId: string): void {
    this.#store.write(() => {
      if (!this.find(runnerId)) throw new Refusal("unknown", `Runner not found: ${runnerId}`);
      this.#store.db.query("UPDATE runners SET deregistered = 1 WHERE runner_id = ?").run(runnerId);
    });
  }

  markStale(runnerId: string): void {
    this.#store.db.query("UPDATE runners SET status = 'stale' WHERE runner_id = ?").run(runnerId);
  }

  delete(runnerId: string): void {
    this.#store.db.query("DELETE FROM runners WHERE runner_id = ?").run(runnerId);
  }

  all(): RunnerRow[] {
    return this.#store.db.query<RunnerRow, []>("SELECT * FROM runners ORDER BY registered_at, runner_id").all();
  }

  /** Schedules the sweep that marks the runner stale if it stays silent. */
  #expectSilence(): void {
    this.#deadlines.expect(Date.now() + this.#staleAfterMs);
  }

  /** Time since the last heartbeat, not counting the coordinator's downtime. */
  silenceMs(runner: RunnerRow): number {
    return Date.now() - Math.max(Date.parse(runner.last_heartbeat), this.#since);
  }
}

/** A runner as `GET /runners` shows it (`docs/protocol.md`, section 1b), with the number of its active runs. */
export function wireRunner(runner: RunnerRow, activeRuns: number): unknown {
  const { deregistered: _, tags, ...shown } = runner;
  const seconds = Math.max(0, (Date.now() - Date.parse(runner.last_heartbeat)) / 1_000);
  return { ...shown, tags: JSON.parse(tags) as unknown, seconds_since_heartbeat: seconds, active_runs: activeRuns };
}

export function offerOf(runner: RunnerRow): Offer {
  return { ...runner, tags: JSON.parse(runner.tags) as string[] };
}

/** The same identity has the same id in every coordinator of the first generation (`docs/protocol.md`, section 2). */
function runnerIdOf(hostname: string, projectDir: string, executorType: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`${hostname}:${projectDir}:${executorType}`).digest("hex");
  return `lnch_${digest.slice(0, 12)}`;
}

function duplicate(runner: RunnerRow, terms: Terms): Refusal {
  const { runner_id, hostname, project_dir, executor_type } = runner;
  const message = `A runner is already online for ${hostname}, ${project_dir}, ${executor_type}`;
  return new Refusal("conflict", {
    error: "duplicate_runner",
    message,
    runner_id,
    hostname,
    project_dir,
    executor_type,
    ...terms,
  });
}
