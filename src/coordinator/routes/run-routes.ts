import * as v from "valibot";
import { CREATION_LIMITS_HEADER, type CreationLimits, CreationLimitsText } from "../../protocol/creation-limits.ts";
import { type CreateRun, CreateRunOfEither, isTerminal } from "../../protocol/run.ts";
import { traceFields, traceOfHeaders } from "../../protocol/trace-context.ts";
import { readBody } from "./http.ts";
import type { IdempotencyKeys } from "../runs/idempotency-keys.ts";
import { answerList, pageOf } from "./paging.ts";
import { type Routes, routes } from "./router.ts";
import { runListQuery } from "./run-lists.ts";
import { type RunRow, wireRun } from "../store/run-row.ts";
import type { CreationBounds } from "../runs/creation-bounds.ts";
import type { RunnerScope } from "./access/runner-scope.ts";
import type { RunTransitions } from "../runs/run-transitions.ts";
import type { Runs } from "../runs/runs.ts";
import { Refusal } from "../store/refusal.ts";
import type { SessionEvents } from "../sessions/session-events.ts";
import type { Store } from "../store/store.ts";

export interface RunRouteParts {
  readonly store: Store;
  readonly runs: Runs;
  readonly bounds: CreationBounds;
  readonly transitions: RunTransitions;
  readonly keys: IdempotencyKeys;
  readonly events: SessionEvents;
  readonly runnerScope: RunnerScope;
}

/** Creates, lists and stops runs (`docs/protocol.md`, sections 1b and 13). */
export function runRoutes({ store, runs, bounds, transitions, keys, events, runnerScope }: RunRouteParts): Routes {
  return routes({
    async "POST /runs"({ request, caller, about }) {
      // A retry of the same request may carry another trace span, so the idempotency key ignores the trace.
      const { traceparent, tracestate, ...fields } = await readBody(request, CreateRunOfEither);
      await runnerScope.requireSession(caller, fields.parent_session_id ?? resumed(fields));
      const trace = { ...traceOfHeaders(request.headers), ...traceFields({ traceparent, tracestate }) };
      const limits = creationLimitsOf(request.headers);
      const create = (): Promise<RunRow> =>
        store.write(async () => runs.create(await bounds.admit({ ...fields, ...trace }, limits), caller));
      const key = request.headers.get("idempotency-key");
      const { answer, isRepeated } =
        key === null ? { answer: await create(), isRepeated: false } : await keys.once(key, fields, create);
      about(answer.run_id);
      const headers = isRepeated ? { "idempotent-replayed": "true" } : {};
      // The status at creation: a waiting runner may have claimed the run already.
      // The second generation's clients send `parameters`, and know 201.
      const status = "parameters" in fields ? 201 : 200;
      const created = { run_id: answer.run_id, session_id: answer.session_id, status: "pending" };
      return Response.json(created, { status, headers });
    },
    "GET /runs": ({ query }) =>
      answerList<RunRow>({ key: "runs", store, query: runListQuery(query), show: wireRun }, pageOf(query)),
    "GET /runs/:run_id": async ({ params }) => Response.json(wireRun(await runs.get(params.run_id))),
    async "GET /runs/:run_id/result"({ params }) {
      const run = await runs.get(params.run_id);
      if (!isTerminal(run.status)) throw new Refusal("wrong-state", `Run has not ended: it is ${run.status}`);
      const result = run.status === "completed" ? await events.answerOf(run) : null;
      return Response.json({ run_id: run.run_id, session_id: run.session_id, status: run.status, result });
    },
    "POST /runs/:run_id/stop": async ({ params, caller }) => stopAnswer(await transitions.stop(params.run_id, caller)),
    "POST /sessions/:session_id/stop": async ({ params, caller }) =>
      stopAnswer(await transitions.stopSession(params.session_id, caller)),
  });
}

/** The mark of a gateway on what one of its agents creates; null for any other client. Refuses: malformed. */
function creationLimitsOf(headers: Headers): CreationLimits | null {
  const text = headers.get(CREATION_LIMITS_HEADER);
  if (text === null) return null;
  const parsed = v.safeParse(CreationLimitsText, text);
  if (parsed.success) return parsed.output;
  throw new Refusal("malformed", `The header ${CREATION_LIMITS_HEADER} is not valid`);
}

/** A session that resumes itself has no parent. */
function resumed({ type, session_id }: Pick<v.InferInput<typeof CreateRun>, "type" | "session_id">): string | null {
  return type === "resume_session" ? (session_id ?? null) : null;
}

function stopAnswer({ run_id, session_id, status }: RunRow): Response {
  const message = status === "stopping" ? "The runner has been told to stop the run" : "The run is stopped";
  return Response.json({ ok: true, run_id, session_id, status, message });
}
