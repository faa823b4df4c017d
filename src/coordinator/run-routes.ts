import * as v from "valibot";
import { CreateRun, RunStatus } from "../protocol/run.ts";
import { invalid, listResponse, readBody } from "./http.ts";
import type { Routes } from "./router.ts";
import type { RunTransitions } from "./run-transitions.ts";
import { type RunFilter, type RunRow, type Runs, wireRun } from "./runs.ts";

/** Creating, watching and stopping runs (protocol, sections 1b and 13). */
export function runRoutes(runs: Runs, transitions: RunTransitions): Routes {
  return {
    async "POST /runs"({ request }) {
      const run = runs.create(await readBody(request, CreateRun));
      // As it was created; a waiting runner may have claimed it by now.
      return Response.json({ run_id: run.run_id, session_id: run.session_id, status: "pending" });
    },
    "GET /runs"({ query }) {
      const filter = filterOf(query);
      const limit = query.get("limit");
      if (limit === null) return listResponse("runs", runs.pages(filter));
      if (!/^[1-9]\d{0,5}$/.test(limit)) throw invalid(["query", "limit"], "Expected a whole number from 1 to 999999");
      return Response.json({ runs: runs.newest(filter, Number(limit)) });
    },
    "GET /runs/:run_id": ({ params }) => Response.json(wireRun(runs.get(params["run_id"] ?? ""))),
    "POST /runs/:run_id/stop": ({ params }) => stopAnswer(transitions.stop(params["run_id"] ?? "")),
    "POST /sessions/:session_id/stop": ({ params }) => stopAnswer(transitions.stopSession(params["session_id"] ?? "")),
  };
}

function stopAnswer({ run_id, session_id, status }: RunRow): Response {
  const message = status === "stopping" ? "The runner has been told to stop the run" : "The run is stopped";
  return Response.json({ ok: true, run_id, session_id, status, message });
}

/** `status` takes several, separated by commas. 422 for one that does not exist. */
function filterOf(query: URLSearchParams): RunFilter {
  const status = query.get("status");
  const runnerId = query.get("runner_id");
  const sessionId = query.get("session_id");
  const parsed = v.safeParse(v.array(RunStatus), status === null ? [] : status.split(","));
  if (!parsed.success) throw invalid(["query", "status"], `Expected ${RunStatus.options.join(", ")}`);
  return {
    ...(status === null ? {} : { statuses: parsed.output }),
    ...(runnerId === null ? {} : { runnerId }),
    ...(sessionId === null ? {} : { sessionId }),
  };
}
