import { runnersNow, runsNow } from "../runs/counts.ts";
import { invalid } from "../store/refusal.ts";
import { type Routes, routes } from "./router.ts";
import type { Runners } from "../runners/runners.ts";
import type { Statistics } from "../runs/statistics.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

const DEFAULT_HOURS = 24;
const MAX_HOURS = 24 * 366;

/** Current counts of runs and runners, and the outcomes of the runs of the last hours. */
export function statsRoutes(store: Store, runners: Runners, statistics: Statistics): Routes {
  return routes({
    async "GET /stats"({ query }) {
      const hours = query.get("hours") ?? String(DEFAULT_HOURS);
      if (!/^\d{1,4}$/.test(hours) || Number(hours) < 1 || Number(hours) > MAX_HOURS) {
        throw invalid(["query", "hours"], `Expected a whole number from 1 to ${MAX_HOURS}`);
      }
      const since = isoTime(-Number(hours) * 3_600_000);
      // Statistics are stored per hour, so the first hour counts as a whole.
      const from = `${since.slice(0, 13)}:00:00.000Z`;
      return Response.json({
        since: from,
        runs: await runsNow(store),
        runners: await runnersNow(runners),
        hours: await statistics.hours(from),
        wait: await statistics.distribution("wait", from),
        run: await statistics.distribution("run", from),
      });
    },
  });
}
