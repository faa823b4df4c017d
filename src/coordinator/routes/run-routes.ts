import { CreateRun } from "../../protocol/run.ts";
import { traceFields, traceOfHeaders } from "../../protocol/trace-context.ts";
import { readBody } from "./http.ts";
import type { IdempotencyKeys } from "../runs/idempotency-keys.ts";
import { answerList, pageOf } from "./paging.ts";
import type { Routes } from "./router.ts";
import { soughtRuns } from "./run-lists.ts";
import { type RunRow, wireRun } from "../store/run-row.ts";
import type { RunTransitions } from "../runs/run-transitions.ts";
import type { Runs } from "../runs/runs.ts";
import type { Store } from "../store/store.ts";

/** Creating, watching and stopping runs (protocol, sections 1b and 13). */
export function runRoutes(store: Store, runs: Runs, transitions: RunTransitions, keys: IdempotencyKeys): Routes {
  return {
    async "POST /runs"({ request }) {
      // The same request, sent again, may come as another span of its sender: the trace is not what makes it the same.
      const { traceparent, tracestate, ...asked } = await readBody(request, CreateRun);
      const create = (): RunRow =>
        runs.create({ ...asked, ...traceOfHeaders(request.headers), ...traceFields({ traceparent, tracestate }) });
      const key = request.headers.get("idempotency-key");
      const { answer, isRepeated } =
        key === null ? { answer: create(), isRepeated: false } : keys.once(key, asked, create);
      const headers = isRepeated ? { "idempotent-replayed": "true" } : {};
      // As it was created; a waiting runner may have claimed it by now.
      return Response.json({ run_id: answer.run_id, session_id: answer.session_id, status: "pending" }, { headers });
    },
    "GET /runs": ({ query }) =>
      answerList<RunRow>({ key: "runs", store, sought: soughtRuns(query), show: wireRun }, pageOf(query)),
    "GET /runs/:run_id": ({ params }) => Response.json(wireRun(runs.get(params["run_id"] ?? ""))),
    "POST /runs/:run_id/stop": ({ params }) => stopAnswer(transitions.stop(params["run_id"] ?? "")),
    "POST /sessions/:session_id/stop": ({ params }) => stopAnswer(transitions.stopSession(params["session_id"] ?? "")),
  };
}

function stopAnswer({ run_id, session_id, status }: RunRow): Response {
  const message = status === "stopping" ? "The runner has been told to stop the run" : "The run is stopped";
  return Response.json({ ok: true, run_id, session_id, status, message });
}
