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
const EARLIEST = `SELECT min(due.at) AS at FROM (${Object.values(DUE)
  .map(({ column, from, where }) => `SELECT min(${column}) AS at FROM ${from} WHERE ${where}`)
  .join(" UNION ALL ")}) AS due`;

/** Work that only the clock triggers: scheduled starts, ended leases, expired and unmatched runs, silent runners. */
export function sweepOf(parts: SweepParts): Clockwork {
  return {
    nextAt: () => nextOf(parts),
    act: async () => (await sweepRuns(parts)) + (await sweepRunners(parts)) + (await sweepLostRunners(parts)),
  };
}

async function nextOf(parts: SweepParts): Promise<number | null> {
  const { store, runs, runners, timings } = parts;
  const moments = [await nextOfRuns(store), await nextSchedule(store)];
  for (const runner of await runners.all()) moments.push(await nextOfRunner(runner, parts));
  for (const runnerId of await runs.runnersOfStarted())
    moments.push(momentAfter(timings.lostAfterMs, runners.withoutContactMs(runnerId)));
  return earliest(moments);
}

async function nextOfRuns(store: Store): Promise<number | null> {
  const at = (await store.get<{ at: string | null }>(EARLIEST))?.at ?? null;
  return at === null ? null : Date.parse(at);
}

/** The earliest schedule, which follows the wall clock. */
async function nextSchedule(store: Store): Promise<number | null> {
  const query =
    "SELECT min(not_before) AS at FROM runs INDEXED BY runs_scheduled " +
    "WHERE waiting_for IN ('time','retry') AND waiting_for = 'time'";
  const at = (await store.get<{ at: string | null }>(query))?.at ?? null;
  return at === null ? null : steadyOf(Date.parse(at));
}

async function nextOfRunner(
  { status, runner_id }: RunnerRow,
  { runs, runners, timings }: SweepParts,
): Promise<number | null> {
  const limits = [
    ...(status === "online" ? [timings.staleAfterMs] : []),
    ...((await runs.startedCount(runner_id)) === 0 ? [timings.removeAfterMs] : []),
  ];
  return limits.length === 0 ? null : momentAfter(Math.min(...limits), runners.silenceMs(runner_id));
}

/** A limit is due when the silence exceeds it: 1 ms later. */
function momentAfter(limitMs: number, silenceMs: number): number {
  return steadyMs() + limitMs - silenceMs + 1;
}

function earliest(moments: readonly (number | null)[]): number | null {
  const given = moments.filter((moment) => moment !== null);
  return given.length === 0 ? null : Math.min(...given);
}

async function sweepRuns({ store, queue, transitions }: SweepParts): Promise<number> {
  const due = ({ column, from, where }: (typeof DUE)[keyof typeof DUE]): Promise<RunRow[]> =>
    store.all<RunRow>(
      `SELECT * FROM ${from} WHERE ${where} AND ${column} <= ? ORDER BY ${column} LIMIT ${BATCH}`,
      steadyTime(),
    );
  let done = await queue.admitDue(BATCH);
  for (const run of await due(DUE.lease)) {
    await transitions.leaseEnded(run);
    done++;
  }
  for (const run of await due(DUE.expiry)) {
    await transitions.failUnclaimed(run, "expired");
    done++;
  }
  for (const run of await due(DUE.noMatch)) {
    await transitions.failUnclaimed(run, "no_match");
    done++;
  }
  return done;
}

async function sweepRunners(parts: SweepParts): Promise<number> {
  const { store, runners, timings } = parts;
  const leastMs = Math.min(timings.staleAfterMs, timings.removeAfterMs);
  let done = 0;
  for (const runner of await runners.all()) {
    if (runners.silenceMs(runner.runner_id) <= leastMs) continue;
    if (await store.write(() => sweepRunner(runner, parts))) done++;
  }
  return done;
}

/** In a transaction: a heartbeat, or the end of a run, comes before or after it. Returns whether it did anything. */
async function sweepRunner(runner: RunnerRow, parts: SweepParts): Promise<boolean> {
  const { store, runs, runners, transitions, timings, log } = parts;
  const { runner_id, hostname } = runner;
  const warn = (message: string): void =>
    store.afterCommit(() => log.warn(message, { runner: runner_id, host: hostname }));
  const silence = runners.silenceMs(runner_id);
  // One that executes runs stays in the list until it is given up.
  if (silence > timings.removeAfterMs && (await runs.startedCount(runner_id)) === 0) {
    await transitions.removeSilentRunner(runner_id);
    warn("Runner removed: silent for too long");
    return true;
  }
  if (silence <= timings.staleAfterMs || runner.status !== "online") return false;
  await runners.markStale(runner_id);
  warn("Runner stale: no heartbeat");
  return true;
}

/** Gives up runners whose machine is gone, or cut off for too long. Retries and callbacks follow. */
async function sweepLostRunners({ store, runs, runners, transitions, timings, log }: SweepParts): Promise<number> {
  let done = 0;
  for (const runnerId of await runs.runnersOfStarted()) {
    done += await store.write(async () => {
      const silence = runners.withoutContactMs(runnerId);
      if (silence <= timings.lostAfterMs) return 0;
      const lost = await transitions.giveUpRunner(runnerId, silence);
      store.afterCommit(() =>
        log.warn(`Runner given up after ${describeMs(silence)} without contact: ${lost} run(s) failed`, {
          runner: runnerId,
        }),
      );
      return lost;
    });
  }
  return done;
}
