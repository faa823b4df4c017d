import type { Log } from "../../log.ts";
import {
  CompletedReport,
  FailedReport,
  Heartbeat,
  INSTANCE_HEADER,
  Register,
  ReturnedReport,
  StartedReport,
  StoppedReport,
} from "../../protocol/runner.ts";
import type { Claims } from "../runs/claims.ts";
import { readBody } from "./http.ts";
import { Refusal, invalid } from "../store/refusal.ts";
import { isTrue } from "./is-true.ts";
import { namedPage } from "./paging.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { Polls } from "../runs/polls.ts";
import { type Routes, routes } from "./router.ts";
import type { RunOutputs } from "../runners/run-outputs.ts";
import type { RunRow } from "../store/run-row.ts";
import type { GiveBack } from "../runs/give-back.ts";
import type { RunTransitions } from "../runs/run-transitions.ts";
import type { ClaimGate } from "../runs/claim-gate.ts";
import type { Reconciliation } from "../runs/reconciliation.ts";
import type { RunnerRow, Runners } from "../runners/runners.ts";
import type { Runs } from "../runs/runs.ts";
import type { History } from "../store/history.ts";
import type { Store } from "../store/store.ts";
import { type CoordinatorTimings, termsOf } from "../store/timings.ts";

export interface RunnerRouteParts {
  readonly store: Store;
  readonly runs: Runs;
  readonly runners: Runners;
  readonly polls: Polls;
  readonly outputs: RunOutputs;
  readonly waiters: PollWaiters;
  readonly claims: Claims;
  readonly transitions: RunTransitions;
  readonly giveBack: GiveBack;
  readonly timings: CoordinatorTimings;
  readonly history: History;
  readonly reconciliation: Reconciliation;
  readonly gate: ClaimGate;
  readonly log: Log;
}

/** The endpoints that runners call (`docs/protocol.md`, sections 2 to 5), and the list of runners. */
export function runnerRoutes(parts: RunnerRouteParts): Routes {
  return { ...lifecycleRoutes(parts), ...reportRoutes(parts) };
}

function lifecycleRoutes({
  store,
  runs,
  runners,
  polls,
  outputs,
  waiters,
  claims,
  transitions,
  timings,
  reconciliation,
  gate,
  log,
}: RunnerRouteParts): Routes {
  const noteFault = ({ runner_id, cannot_run }: Heartbeat): void => {
    const fault = cannot_run ?? null;
    if (!runners.setFault(runner_id, fault)) return;
    if (fault !== null) waiters.supersede(runner_id);
    const message = fault === null ? "Runner can run its executor again" : `Runner takes no runs: ${fault}`;
    log.warn(message, { runner: runner_id });
  };
  const shown = async (runner: RunnerRow): Promise<object> => {
    const id = runner.runner_id;
    const counts = [await runs.activeCount(id), await runs.startedCount(id)] as const;
    return { ...runners.wire(runner, ...counts), is_awaited: gate.awaits(id) };
  };
  return routes({
    async "POST /runner/register"({ request, caller, about }) {
      const body = await readBody(request, Register);
      const runnerId = await runners.register(body, caller.name);
      about(runnerId);
      log.info("Runner registered", { runner: runnerId, host: body.hostname });
      return Response.json({ runner_id: runnerId, poll_endpoint: "/runner/runs", ...termsOf(timings) });
    },
    async "GET /runner/runs"({ request, query, caller, keepOpen }) {
      const runnerId = query.get("runner_id");
      if (runnerId === null) throw invalid(["query", "runner_id"], "Field required", "missing");
      const capacity = query.get("capacity") ?? "1";
      if (!/^\d{1,9}$/.test(capacity)) throw invalid(["query", "capacity"], "Expected a whole number, 0 or more");
      keepOpen();
      const runner = await runners.requireCaller(runnerId, request.headers.get(INSTANCE_HEADER));
      if (caller.hasEnded?.() === true) throw new Refusal("unauthorized", "A bearer token is required");
      outputs.setCanShow(runnerId, query.get("output") === "1");
      const answer = await polls.poll(runner, Number(capacity) > 0, request.signal);
      return answer === null ? new Response(null, { status: 204 }) : Response.json(answer);
    },
    async "POST /runner/heartbeat"({ request }) {
      const body = await readBody(request, Heartbeat);
      const reconciled = await store.write(async () => {
        await runners.requireCaller(body.runner_id, request.headers.get(INSTANCE_HEADER));
        await runners.heartbeat(body.runner_id);
        if (body.held != null) store.afterCommit(() => noteFault(body));
        await claims.renew(body.runner_id, body.claimed_run_ids ?? []);
        return body.held == null ? {} : await reconciliation.reconcile(body);
      });
      return Response.json({ ok: true, ...reconciled });
    },
    async "GET /runners"({ query }) {
      const { rows, next } = namedPage(query, await runners.all(), (runner) => runner.runner_id);
      return Response.json({
        runners: await Promise.all(rows.map(shown)),
        next_cursor: next,
      });
    },
    async "DELETE /runners/:runner_id"({ request, params, query }) {
      const runnerId = params.runner_id;
      await runners.requireCurrent(runnerId, request.headers.get(INSTANCE_HEADER));
      if (!isTrue(query.get("self"))) {
        await runners.markDeregistered(runnerId);
        gate.forget(runnerId);
        waiters.wake(runnerId);
        return Response.json({ ok: true, message: "Runner marked for deregistration", initiated_by: "external" });
      }
      if ((await runners.find(runnerId)) === null) throw new Refusal("unknown", `Runner not found: ${runnerId}`);
      await runners.requireCaller(runnerId, request.headers.get(INSTANCE_HEADER));
      await transitions.removeRunner(runnerId, true);
      outputs.forget(runnerId);
      log.info("Runner deregistered itself", { runner: runnerId });
      return Response.json({ ok: true, message: "Runner deregistered", initiated_by: "self" });
    },
  });
}

function reportRoutes({ history, runners, transitions, giveBack, log }: RunnerRouteParts): Routes {
  /** A runner that has seen this moment notices when a backup from before it is restored. */
  const acknowledged = async (): Promise<Response> => Response.json({ ok: true, moment: await history.now() });
  const requireCaller = (request: Request, body: { readonly runner_id: string }): Promise<RunnerRow> =>
    runners.requireCaller(body.runner_id, request.headers.get(INSTANCE_HEADER));
  return routes({
    async "POST /runner/runs/:run_id/started"({ request, params }) {
      const body = await readBody(request, StartedReport);
      await requireCaller(request, body);
      await transitions.started(params.run_id, body.runner_id);
      return acknowledged();
    },
    async "POST /runner/runs/:run_id/completed"({ request, params }) {
      const body = await readBody(request, CompletedReport);
      await requireCaller(request, body);
      const run = await transitions.ended(params.run_id, body.runner_id, {
        status: "completed",
        durationMs: body.duration_ms,
      });
      log.info("Run completed", contextOf(run));
      return acknowledged();
    },
    async "POST /runner/runs/:run_id/failed"({ request, params }) {
      const body = await readBody(request, FailedReport);
      await requireCaller(request, body);
      const run = await transitions.ended(params.run_id, body.runner_id, {
        status: "failed",
        error: body.error,
        reason: body.reason ?? null,
        durationMs: body.duration_ms,
      });
      log.info("Run failed", contextOf(run));
      return acknowledged();
    },
    async "POST /runner/runs/:run_id/returned"({ request, params }) {
      const body = await readBody(request, ReturnedReport);
      await requireCaller(request, body);
      const run = await giveBack.returned(params.run_id, body.runner_id, body.error);
      log.warn(`Run given back by its runner: ${body.error}`, { ...contextOf(run), runner: body.runner_id });
      return acknowledged();
    },
    async "POST /runner/runs/:run_id/stopped"({ request, params }) {
      const body = await readBody(request, StoppedReport);
      await requireCaller(request, body);
      const run = await transitions.ended(params.run_id, body.runner_id, {
        status: "stopped",
        durationMs: body.duration_ms,
      });
      log.info("Run stopped", { ...contextOf(run), signal: body.signal ?? undefined });
      return acknowledged();
    },
  });
}

function contextOf(run: RunRow): { run: string; session: string } {
  return { run: run.run_id, session: run.session_id };
}
