import type { Log } from "../log.ts";
import type { Clockwork } from "./store/deadlines.ts";
import type { RunQueue } from "./runs/run-queue.ts";
import type { RunRow } from "./store/run-row.ts";
import type { RunTransitions } from "./runs/run-transitions.ts";
import type { Runners } from "./runners/runners.ts";
import { isoTime, type Store } from "./store/store.ts";
import type { CoordinatorTimings } from "./store/timings.ts";

export interface SweepParts {
  readonly store: Store;
  readonly queue: RunQueue;
  readonly runners: Runners;
  readonly transitions: RunTransitions;
  readonly timings: CoordinatorTimings;
  readonly log: Log;
}

/** Limits each kind per pass, so that requests are answered in between. */
const BATCH = 100;

/** Each kind has its own index, which finds the earliest row at once. SQLite alone does not always choose it. */
const DUE = {
  lease: { column: "lease_until", from: "runs INDEXED BY runs_leased", where: "lease_until IS NOT NULL" },
  noMatch: {
    column: "timeout_at",
    from: "runs INDEXED BY runs_timing_out",
    where: "waiting_for = 'runner' AND timeout_at IS NOT NULL",
  },
  expiry: {
    column: "expires_at",
    from: "runs INDEXED BY runs_expiring",
    where: "status = 'pending' AND expires_at IS NOT NULL",
  },
  start: { column: "not_before", from: "runs INDEXED BY runs_scheduled", where: "waiting_for IN ('time','retry')" },
} as const;
const EARLIEST = `SELECT min(at) AS at FROM (${Object.values(DUE)
  .map(({ column, from, where }) => `SELECT min(${column}) AS at FROM ${from} WHERE ${where}`)
  .join(" UNION ALL ")})`;

/** Work that only the clock triggers: scheduled starts, ended leases, expired and unmatched runs, silent runners. */
export function sweepOf(parts: SweepParts): Clockwork {
  return {
    nextAt: () =>
      earliest(
        nextOfRuns(parts.store),
        ...parts.runners
          .all()
          .map((runner) => nextOfRunner(runner.status, parts.runners.silenceMs(runner), parts.timings)),
      ),
    act: () => sweepRuns(parts) + sweepRunners(parts),
  };
}

function nextOfRuns({ db }: Store): number | null {
  const at = db.query<{ at: string | null }, []>(EARLIEST).get()?.at ?? null;
  return at === null ? null : Date.parse(at);
}

function nextOfRunner(status: string, silenceMs: number, { staleAfterMs, removeAfterMs }: CoordinatorTimings): number {
  const limits = status === "online" ? [staleAfterMs, removeAfterMs] : [removeAfterMs];
  // A runner is due when its silence exceeds the limit: 1 ms later.
  return Date.now() + Math.min(...limits) - silenceMs + 1;
}

function earliest(...moments: readonly (number | null)[]): number | null {
  const given = moments.filter((moment) => moment !== null);
  return given.length === 0 ? null : Math.min(...given);
}

function sweepRuns({ store, queue, transitions }: SweepParts): number {
  const due = ({ column, from, where }: (typeof DUE)[keyof typeof DUE]): RunRow[] =>
    store.db
      .query<RunRow, [string]>(
        `SELECT * FROM ${from} WHERE ${where} AND ${column} <= ? ORDER BY ${column} LIMIT ${BATCH}`,
      )
      .all(isoTime());
  let done = queue.admitDue(BATCH);
  for (const run of due(DUE.lease)) {
    transitions.leaseEnded(run);
    done++;
  }
  for (const run of due(DUE.expiry)) {
    transitions.failUnclaimed(run, "expired");
    done++;
  }
  for (const run of due(DUE.noMatch)) {
    transitions.failUnclaimed(run, "no_match");
    done++;
  }
  return done;
}

function sweepRunners({ runners, transitions, timings, log }: SweepParts): number {
  let done = 0;
  for (const runner of runners.all()) {
    const silence = runners.silenceMs(runner);
    const context = { runner: runner.runner_id, host: runner.hostname };
    if (silence > timings.removeAfterMs) {
      transitions.removeRunner(runner.runner_id, false);
      log.warn("Runner removed: silent for too long", context);
      done++;
    } else if (silence > timings.staleAfterMs && runner.status === "online") {
      runners.markStale(runner.runner_id);
      log.warn("Runner stale: no heartbeat", context);
      done++;
    }
  }
  return done;
}
