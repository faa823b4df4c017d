import type { FailureReason } from "../../protocol/run.ts";
import { randomHex12 } from "../../protocol/identifiers.ts";
import type { SessionEvents } from "../sessions/session-events.ts";
import type { RunQueue } from "./run-queue.ts";
import type { RunRow } from "../store/run-row.ts";
import { isoTime, steadyTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/**
 * The transient reasons. Not among them: an agent that failed at its task, a time-out, a run without a matching runner.
 * A retry of these would only cost the same again.
 */
const TRANSIENT: ReadonlySet<FailureReason> = new Set(["temporary", "interrupted", "not_started", "runner_lost"]);

/** Before the second attempt of a run that names no delay. */
export const FIRST_DELAY_SECONDS = 10;
const LONGEST_DELAY_MS = 3_600_000;
/** Longer than any known usage limit. */
const LONGEST_TOLD_DELAY_MS = 35 * 24 * 3_600_000;

/**
 * Creates the next attempt of a failed run. Each attempt is a run of its own, so its ending stays visible and a runner
 * never sees the same run twice. The failed run names the next attempt in `retried_by`, and its failure triggers no
 * callback. The next attempt keeps the turn of the session.
 */
export class Retries {
  readonly #store: Store;
  readonly #queue: RunQueue;
  readonly #events: SessionEvents;

  constructor(store: Store, queue: RunQueue, events: SessionEvents) {
    this.#store = store;
    this.#queue = queue;
    this.#events = events;
  }

  /** Creates the next attempt. Call in the transaction that ends `run`. Null: the run is not retried. */
  async next(run: RunRow, reason: FailureReason | null): Promise<RunRow | null> {
    if (reason === null || !TRANSIENT.has(reason) || run.attempt >= run.max_attempts) return null;
    const notBefore = await this.#startOf(run);
    if (run.expires_at !== null && run.expires_at <= notBefore) return null;
    // Another machine may do better, but not with a conversation that this one has.
    const next = await this.#store.get<RunRow>(
      `INSERT INTO runs (run_id, type, session_id, agent_name, prompt, project_dir, parent_session_id,
           execution_mode, demands, status, created_at, priority, not_before, expires_at, attempt, max_attempts,
           retry_delay_seconds, retry_of, traceparent, tracestate, asked_demands,
           avoid_runner, parameters, created_by, created_from)
         SELECT ?, type, session_id, agent_name, prompt, project_dir, parent_session_id,
           execution_mode, demands, 'pending', ?, priority, ?, expires_at, attempt + 1, max_attempts,
           retry_delay_seconds, run_id, traceparent, tracestate, asked_demands,
           CASE type WHEN 'start_session' THEN runner_id END, parameters, created_by, created_from
         FROM runs WHERE seq = ? RETURNING *`,
      `run_${randomHex12()}`,
      isoTime(),
      notBefore,
      run.seq,
    );
    if (next === null) return null;
    await this.#store.run("UPDATE runs SET retried_by = ? WHERE seq = ?", next.run_id, run.seq);
    await this.#queue.enterRetry(next);
    return next;
  }

  /** Call after a restart. No retry waits longer than its delay, also where the clock was ahead at an earlier start. */
  async limitWaits(): Promise<void> {
    await this.#store.write(async () => {
      const waiting = await this.#store.all<{ readonly seq: number; readonly retry_of: string }>(
        `SELECT seq, retry_of FROM runs INDEXED BY runs_scheduled
       WHERE waiting_for IN ('time','retry') AND waiting_for = 'retry' AND retry_of IS NOT NULL`,
      );
      for (const { seq, retry_of } of waiting) {
        const run = await this.#store.get<RunRow>("SELECT * FROM runs WHERE run_id = ?", retry_of);
        if (run === null) continue;
        const latest = await this.#startOf(run);
        await this.#store.run("UPDATE runs SET not_before = ? WHERE seq = ? AND not_before > ?", latest, seq, latest);
      }
    });
  }

  /** When the next attempt may start: after its delay, and not before the time that the executor named in an event. */
  async #startOf(run: RunRow): Promise<string> {
    const pauseEnds = steadyTime(delayMs(run));
    const told = await this.#toldTime(run);
    return told !== null && told > pauseEnds ? told : pauseEnds;
  }

  /** The time that the executor named in an event, such as the reset of a usage limit. */
  async #toldTime(run: RunRow): Promise<string | null> {
    const retryAt = await this.#events.retryAtOf(run);
    return retryAt === null ? null : new Date(Math.min(retryAt, Date.now() + LONGEST_TOLD_DELAY_MS)).toISOString();
  }
}

type Delayed = Pick<RunRow, "attempt" | "retry_delay_seconds">;

function delayMs({ attempt, retry_delay_seconds }: Delayed): number {
  return Math.min((retry_delay_seconds ?? FIRST_DELAY_SECONDS) * 1_000 * 2 ** (attempt - 1), LONGEST_DELAY_MS);
}
