import type { Runners } from "../runners/runners.ts";
import { ACTIVE } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

export interface RunsNow {
  /** By `waiting_for`. */
  readonly pending: Readonly<Record<"time" | "retry" | "turn" | "runner", number>>;
  readonly claimed: number;
  readonly running: number;
  readonly stopping: number;
}

export interface RunnersNow {
  readonly online: number;
  readonly stale: number;
}

export interface WorkCounts {
  readonly runs: RunsNow;
  readonly runners: RunnersNow;
  /** Since the coordinator's start. */
  readonly ended: Readonly<Record<"completed" | "failed" | "stopped", number>>;
}

/** Counts open runs in the partial indexes: a hundred thousand take a few milliseconds. */
export async function runsNow(store: Store): Promise<RunsNow> {
  const count = async (where: string): Promise<number> =>
    (await store.get<{ n: number }>(`SELECT count(*) AS n FROM runs WHERE ${where}`))?.n ?? 0;
  const byStatus = await store.all<{ status: string; n: number }>(
    `SELECT status, count(*) AS n FROM runs WHERE ${ACTIVE} GROUP BY status`,
  );
  const active = (status: string): number => byStatus.find((row) => row.status === status)?.n ?? 0;
  return {
    pending: {
      time: await count("waiting_for IN ('time','retry') AND waiting_for = 'time'"),
      retry: await count("waiting_for IN ('time','retry') AND waiting_for = 'retry'"),
      turn: await count("waiting_for = 'turn'"),
      runner: await count("waiting_for = 'runner'"),
    },
    claimed: active("claimed"),
    running: active("running"),
    stopping: active("stopping"),
  };
}

export async function runnersNow(runners: Pick<Runners, "all">): Promise<RunnersNow> {
  const all = await runners.all();
  return {
    online: all.filter((runner) => runner.status === "online").length,
    stale: all.filter((runner) => runner.status === "stale").length,
  };
}
