import type { RunRow } from "../store/run-row.ts";
import type { Store } from "../store/store.ts";

/** The ending of a run. */
export interface EndedRun {
  readonly run: RunRow;
  readonly status: "completed" | "failed" | "stopped";
  readonly completedAt: string;
  /** Null if the run never started. */
  readonly runMs: number | null;
}

/** Counts and sums over the runs that ended in one hour. */
export interface HourOfRuns {
  readonly hour: string;
  readonly completed: number;
  readonly failed: number;
  readonly stopped: number;
  readonly wait_ms: number;
  readonly run_ms: number;
  readonly total_cost_usd: number;
}

/** A step of a histogram: runs that took at most `up_to_ms`, but longer than the step before. Null: no limit. */
export interface TimeStep {
  readonly up_to_ms: number | null;
  readonly runs: number;
}

const STEPS_MS = [
  100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
  7_200_000, 21_600_000, 86_400_000,
] as const;
/** Stands for a time above all steps in the database. */
const BEYOND = -1;

interface HourRow {
  readonly hour: string;
  readonly status: EndedRun["status"];
  readonly runs: number;
  readonly wait_ms: number;
  readonly run_ms: number;
  readonly total_cost_usd: number;
}

/** Endings of runs, summed per hour: a query costs the same with ten runs and with a million. */
export class Statistics {
  readonly #store: Store;
  readonly #sinceStart = { completed: 0, failed: 0, stopped: 0 };

  constructor(store: Store) {
    this.#store = store;
  }

  /** Call in the transaction that ends the run. */
  async ended({ run, status, completedAt, runMs }: EndedRun): Promise<void> {
    const hour = `${completedAt.slice(0, 13)}:00:00.000Z`;
    const waitMs = waitOf(run);
    this.#store.afterCommit(() => void this.#sinceStart[status]++);
    await this.#store.run(
      `INSERT INTO run_hours AS h (hour, status, runs, wait_ms, run_ms, total_cost_usd) VALUES (?, ?, 1, ?, ?, ?)
         ON CONFLICT (hour, status) DO UPDATE SET runs = h.runs + 1, wait_ms = h.wait_ms + excluded.wait_ms,
           run_ms = h.run_ms + excluded.run_ms, total_cost_usd = h.total_cost_usd + excluded.total_cost_usd`,
      hour,
      status,
      waitMs ?? 0,
      runMs ?? 0,
      run.total_cost_usd ?? 0,
    );
    await this.#count(hour, { wait: waitMs, run: runMs });
  }

  /** Endings since this process started. */
  get sinceStart(): Readonly<Record<EndedRun["status"], number>> {
    return this.#sinceStart;
  }

  /** The hours in which runs ended, oldest first. */
  async hours(since: string): Promise<HourOfRuns[]> {
    const rows = await this.#store.all<HourRow>("SELECT * FROM run_hours WHERE hour >= ? ORDER BY hour", since);
    const hours = new Map<string, HourOfRuns>();
    for (const { hour, status, runs, ...sums } of rows) {
      const before = hours.get(hour) ?? {
        hour,
        completed: 0,
        failed: 0,
        stopped: 0,
        wait_ms: 0,
        run_ms: 0,
        total_cost_usd: 0,
      };
      hours.set(hour, {
        ...before,
        [status]: runs,
        wait_ms: before.wait_ms + sums.wait_ms,
        run_ms: before.run_ms + sums.run_ms,
        total_cost_usd: before.total_cost_usd + sums.total_cost_usd,
      });
    }
    return [...hours.values()];
  }

  /** The histogram of the times that runs waited for a runner, or ran. */
  async distribution(what: "wait" | "run", since: string): Promise<TimeStep[]> {
    const counts = await this.#store.all<{ up_to_ms: number; runs: number }>(
      "SELECT up_to_ms, sum(runs) AS runs FROM run_times WHERE hour >= ? AND what = ? GROUP BY up_to_ms",
      since,
      what,
    );
    const runsOf = (step: number): number => counts.find((row) => row.up_to_ms === step)?.runs ?? 0;
    return [
      ...STEPS_MS.map((step) => ({ up_to_ms: step, runs: runsOf(step) })),
      { up_to_ms: null, runs: runsOf(BEYOND) },
    ];
  }

  /** Deletes the hours before `before`. */
  async forget(before: string): Promise<void> {
    await this.#store.run("DELETE FROM run_hours WHERE hour < ?", before);
    await this.#store.run("DELETE FROM run_times WHERE hour < ?", before);
  }

  async #count(hour: string, times: Readonly<Record<"wait" | "run", number | null>>): Promise<void> {
    const known = Object.entries(times).filter((entry): entry is [string, number] => entry[1] !== null);
    if (known.length === 0) return;
    await this.#store.run(
      `INSERT INTO run_times AS t (hour, what, up_to_ms, runs) VALUES ${known.map(() => "(?, ?, ?, 1)").join(", ")}
         ON CONFLICT (hour, what, up_to_ms) DO UPDATE SET runs = t.runs + 1`,
      ...known.flatMap(([what, ms]) => [hour, what, STEPS_MS.find((step) => ms <= step) ?? BEYOND]),
    );
  }
}

/** From start to end by the coordinator's clock, which may be set meanwhile; null if the run never started. */
export function runMsOf({ started_at }: RunRow, completedAt: string): number | null {
  return started_at === null ? null : Math.max(0, Date.parse(completedAt) - Date.parse(started_at));
}

/** From the earliest possible start to the start; null if the run never started. */
function waitOf({ created_at, not_before, started_at }: RunRow): number | null {
  if (started_at === null) return null;
  const claimableAt = Math.max(Date.parse(created_at), not_before === null ? 0 : Date.parse(not_before));
  return Math.max(0, Date.parse(started_at) - claimableAt);
}
