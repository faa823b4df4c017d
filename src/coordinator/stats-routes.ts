import { invalid } from "./http.ts";
import type { Routes } from "./router.ts";
import type { Runners } from "./runners.ts";
import { ACTIVE } from "./schema.ts";
import type { Statistics } from "./statistics.ts";
import { isoTime, type Store } from "./store.ts";

const USUAL_HOURS = 24;
const MOST_HOURS = 24 * 366;

/** How many runs and runners there are now, and what has become of the runs of the last hours. */
export function statsRoutes(store: Store, runners: Runners, statistics: Statistics): Routes {
  return {
    "GET /stats"({ query }) {
      const hours = query.get("hours") ?? String(USUAL_HOURS);
      if (!/^\d{1,4}$/.test(hours) || Number(hours) < 1 || Number(hours) > MOST_HOURS) {
        throw invalid(["query", "hours"], `Expected a whole number from 1 to ${MOST_HOURS}`);
      }
      const since = isoTime(-Number(hours) * 3_600_000);
      // The hour in which it begins is there as a whole.
      const from = `${since.slice(0, 13)}:00:00.000Z`;
      return Response.json({
        since: from,
        runs: runsNow(store),
        runners: runnersNow(runners),
        hours: statistics.hours(from),
        wait: statistics.distribution("wait", from),
        run: statistics.distribution("run", from),
      });
    },
  };
}

/** Counted in the indexes of what has not ended: a hundred thousand are counted in a few milliseconds. */
function runsNow({ db }: Store): object {
  const count = (where: string): number => db.query<{ n: number }, []>(`SELECT count(*) AS n FROM runs WHERE ${where}`).get()?.n ?? 0;
  const byStatus = db.query<{ status: string; n: number }, []>(`SELECT status, count(*) AS n FROM runs WHERE ${ACTIVE} GROUP BY status`).all();
  const active = (status: string): number => byStatus.find((row) => row.status === status)?.n ?? 0;
  return {
    pending: {
      time: count("waiting_for IN ('time','retry') AND waiting_for = 'time'"),
      retry: count("waiting_for IN ('time','retry') AND waiting_for = 'retry'"),
      turn: count("waiting_for = 'turn'"),
      runner: count("waiting_for = 'runner'"),
    },
    claimed: active("claimed"),
    running: active("running"),
    stopping: active("stopping"),
  };
}

function runnersNow(runners: Runners): object {
  const all = runners.all();
  return { online: all.filter((runner) => runner.status === "online").length, stale: all.filter((runner) => runner.status === "stale").length };
}
