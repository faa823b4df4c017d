import { describeMs } from "../async/describe-ms.ts";
import type { Log } from "../log.ts";
import type { Clockwork } from "./store/deadlines.ts";
import type { RunQueue } from "./runs/run-queue.ts";
import type { RunRow } from "./store/run-row.ts";
import type { RunTransitions } from "./runs/run-transitions.ts";
import type { Runs } from "./runs/runs.ts";
import type { RunnerRow, Runners } from "./runners/runners.ts";
import { steadyMs, steadyOf, steadyTime } from "./store/clock.ts";
import type { Store } from "./store/store.ts";
import type { CoordinatorTimings } from "./store/timings.ts";

export interface SweepParts {
  readonly store: Store;
  readonly queue: RunQueue;
  readonly runs: Runs;
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
  retry: {
    column: "not_before",
    from: "runs INDEXED BY runs_scheduled",
    where: "waiting_for IN ('time','retry') AND waiting_for = 'retry'",
  },
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
        nextSchedule(parts.store),
        ...parts.runners.all().map((runner) => nextOfRunner(runner, parts)),
        ...parts.runs
          .runnersOfStarted()
          .map((runnerId) => momentAfter(parts.timings.lostAfterMs, parts.runners.withoutContactMs(runnerId))),
      ),
    act: () => sweepRuns(parts) + sweepRunners(parts) + sweepLostRunners(parts),
  };
}

function nextOfRuns(store: Store): number | null {
  const at = store.get<{ at: string | null }>(EARLIEST)?.at ?? null;
  return at === null ? null : Date.parse(at);
}

/** The earliest schedule, which follows the wall clock. */
function nextSchedule(store: Store): number | null {
  const query =
    "SELECT min(not_before) AS at FROM runs INDEXED BY runs_scheduled " +
    "WHERE waiting_for IN ('time','retry') AND waiting_for = 'time'";
  const at = store.get<{ at: string | null }>(query)?.at ?? null;
  return at === null ? null : steadyOf(Date.parse(at));
}

function nextOfRunner({ status, runner_id }: RunnerRow, { runs, runners, timings }: SweepParts): number | null {
  const limits = [
    ...(status === "online" ? [timings.staleAfterMs] : []),
    ...(runs.startedCount(runner_id) === 0 ? [timings.removeAfterMs] : []),
  ];
  return limits.length === 0 ? null : momentAfter(Math.min(...limits), runners.silenceMs(runner_id));
}

/** A limit is due when the silence exceeds it: 1 ms later. */
function momentAfter(limitMs: number, silenceMs: number): number {
  return steadyMs() + limitMs - silenceMs + 1;
}

function earliest(...moments: readonly (number | null)[]): number | null {
  const given = moments.filter((moment) => moment !== null);
  return given.length === 0 ? null : Math.min(...given);
}

function sweepRuns({ store, queue, transitions }: SweepParts): number {
  const due = ({ column, from, where }: (typeof DUE)[keyof typeof DUE]): RunRow[] =>
    store.all<RunRow>(
      `SELECT * FROM ${from} WHERE ${where} AND ${column} <= ? ORDER BY ${column} LIMIT ${BATCH}`,
      steadyTime(),
    );
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

function sweepRunners({ runs, runners, transitions, timings, log }: SweepParts): number {
  let done = 0;
  for (const runner of runners.all()) {
    const silence = runners.silenceMs(runner.runner_id);
    const context = { runner: runner.runner_id, host: runner.hostname };
    // One that executes runs stays in the list until it is given up.
    if (silence > timings.removeAfterMs && runs.startedCount(runner.runner_id) === 0) {
      transitions.removeSilentRunner(runner.runner_id);
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

/** Gives up runners whose machine is gone, or cut off for too long. Retries and callbacks follow. */
function sweepLostRunners({ runs, runners, transitions, timings, log }: SweepParts): number {
  let done = 0;
  for (const runnerId of runs.runnersOfStarted()) {
    const silence = runners.withoutContactMs(runnerId);
    if (silence <= timings.lostAfterMs) continue;
    const lost = transitions.giveUpRunner(runnerId, silence);
    log.warn(`Runner given up after ${describeMs(silence)} without contact: ${lost} run(s) failed`, {
      runner: runnerId,
    });
    done += lost;
  }
  return done;
}
