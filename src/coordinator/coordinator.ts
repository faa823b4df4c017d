import { withDeadline } from "../async/delay.ts";
import { describeError, errorCode, UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import { isLoopback } from "../protocol/loopback.ts";
import { AgentFolder } from "./agents/agent-folder.ts";
import { agentRoutes } from "./routes/agent-routes.ts";
import { Agents } from "./agents/agents.ts";
import { Broadcast } from "./sessions/broadcast.ts";
import { Callbacks, type CallbackTiming } from "./runs/callbacks.ts";
import { Claims } from "./runs/claims.ts";
import { type AnswerClass, type CoordinatorCounts, runnersNow, runsNow } from "./runs/counts.ts";
import { Deadlines } from "./store/deadlines.ts";
import { corsHeaders, guard } from "./routes/guard.ts";
import { Housekeeping } from "./housekeeping.ts";
import { refusalResponse } from "./routes/refusal-status.ts";
import { Refusal } from "./store/refusal.ts";
import { IdempotencyKeys } from "./runs/idempotency-keys.ts";
import { outputRoutes } from "./routes/output-routes.ts";
import { answerPage, isOfPage } from "./routes/dashboard-page.ts";
import { PollWaiters } from "./runners/poll-waiters.ts";
import { Polls } from "./runs/polls.ts";
import { portInUse } from "./port-in-use.ts";
import { Retries } from "./runs/retries.ts";
import { Router } from "./routes/router.ts";
import { RunOutputs } from "./runners/run-outputs.ts";
import { RunQueue } from "./runs/run-queue.ts";
import { runRoutes } from "./routes/run-routes.ts";
import { RunTransitions } from "./runs/run-transitions.ts";
import { runnerRoutes } from "./routes/runner-routes.ts";
import { Runners } from "./runners/runners.ts";
import { Runs } from "./runs/runs.ts";
import { SessionEvents } from "./sessions/session-events.ts";
import { sessionRoutes } from "./routes/session-routes.ts";
import { SessionTrees } from "./sessions/session-trees.ts";
import { Sessions } from "./sessions/sessions.ts";
import { Statistics } from "./runs/statistics.ts";
import { statsRoutes } from "./routes/stats-routes.ts";
import { Store } from "./store/store.ts";
import { sweepOf } from "./sweep.ts";
import { type CoordinatorTimings, DEFAULT_TIMINGS } from "./store/timings.ts";
import { UsageLedger } from "./sessions/usage-ledger.ts";

export interface CoordinatorOptions {
  /** The address to listen on; one that other machines can reach needs a token. */
  readonly host: string;
  /** 0: chosen by the system. */
  readonly port: number;
  /** A file, created if it is missing; its folder exists. */
  readonly databasePath: string;
  readonly token?: string;
  /** `together` unless it is said otherwise. */
  readonly callbacks?: CallbackTiming;
  /** Runs that ended longer ago are removed, and sessions of which none is left; 0 or nothing: all are kept. */
  readonly keepMs?: number;
  /** A folder of agents that live as files; it exists. */
  readonly agentsDir?: string;
  readonly log: Log;
  readonly timings?: Partial<CoordinatorTimings>;
}

export interface Coordinator extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Throws once it is closed. */
  counts(): CoordinatorCounts;
  /** Answers open polls with nothing, ends the streams, closes the database. Takes two seconds at most; may be repeated. */
  close(): Promise<void>;
}

const CLOSE_DEADLINE_MS = 1_000;

/** The part behind HTTP: the database, who waits for what, and the routes. */
interface Service {
  readonly router: Router;
  readonly counts: () => Omit<CoordinatorCounts, "answers">;
  /** Ends what waits, so that the server can stop. */
  release(): void;
  close(): void;
}

/** Starts the coordinator. UserError: no token for a reachable address, port in use, database not usable. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  if (options.token === "") throw new UserError("the coordinator's token is empty", { hint: "give a token, or none" });
  if (options.token === undefined && !isLoopback(options.host)) {
    throw new UserError(`a coordinator that listens on ${options.host} can be reached by others and needs a token`, {
      hint: "give it a token, or listen on 127.0.0.1",
    });
  }
  // The port first: whoever starts a second coordinator is told of the first, not of its locked database.
  let service: Service | undefined;
  const answers: Record<AnswerClass, number> = { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 };
  const server = await listen(options, async (request, srv) => {
    const response = await answer(request, srv, options, service);
    answers[classOf(response)]++;
    return response;
  });
  try {
    service = createService(options);
  } catch (error) {
    await server.stop(true);
    throw error;
  }
  const port = server.port ?? options.port;
  const running = service;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    service = undefined;
    closing ??= shutDown(server, running);
    return closing;
  };
  const counts = (): CoordinatorCounts => ({ ...running.counts(), answers });
  return { url: urlOf(options.host, port), port, counts, close, [Symbol.asyncDispose]: close };
}

function classOf({ status }: Response): AnswerClass {
  if (status < 300) return "2xx";
  if (status < 400) return "3xx";
  return status < 500 ? "4xx" : "5xx";
}

async function listen(
  { host, port, timings }: CoordinatorOptions,
  fetch: (request: Request, server: Bun.Server<undefined>) => Promise<Response>,
): Promise<Bun.Server<undefined>> {
  const idleTimeout = timings?.idleTimeoutSeconds ?? DEFAULT_TIMINGS.idleTimeoutSeconds;
  try {
    // Bun's own limit would answer without a body that says why; `readBody` has one.
    const maxRequestBodySize = Number.MAX_SAFE_INTEGER;
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      idleTimeout,
      maxRequestBodySize,
      error: (error) => internalError(error),
    });
  } catch (error) {
    if (errorCode(error) === "EADDRINUSE") throw await portInUse(urlOf(host, port), port, error);
    throw new UserError(`cannot listen on ${host}:${port}: ${describeError(error)}`, { cause: error });
  }
}

function createService({ databasePath, log, ...options }: CoordinatorOptions): Service {
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const store = new Store(databasePath, log);
  const broadcast = new Broadcast(timings.sseHeartbeatMs);
  const waiters = new PollWaiters();
  const deadlines = new Deadlines(log);
  const { noMatchTimeoutMs, pollTimeoutMs, stopRedeliveryMs } = timings;
  const files = options.agentsDir === undefined ? null : new AgentFolder(options.agentsDir, log);
  const agents = new Agents(store, files);
  const sessions = new Sessions(store, broadcast);
  const usage = new UsageLedger(store, sessions);
  const events = new SessionEvents(store, sessions, usage, broadcast);
  const queue = new RunQueue(store, waiters, deadlines, noMatchTimeoutMs);
  const runs = new Runs({ store, sessions, agents, queue, deadlines, noMatchTimeoutMs });
  const runners = new Runners(store, deadlines, timings);
  const claims = new Claims(store, queue, sessions, deadlines, timings.claimLeaseMs);
  const callbacks = new Callbacks(store, runs, sessions, events, options.callbacks ?? "together");
  const retries = new Retries(store, queue);
  const statistics = new Statistics(store);
  const parts = { store, runs, runners, sessions, claims, queue, retries, statistics, callbacks, waiters, broadcast };
  const transitions = new RunTransitions(parts);
  const outputs = new RunOutputs(waiters, timings.outputTimeoutMs);
  const polls = new Polls({
    runners,
    runs,
    claims,
    transitions,
    waiters,
    outputs,
    log,
    pollTimeoutMs,
    stopRedeliveryMs,
  });
  claims.renewAll(noMatchTimeoutMs);
  callbacks.deliverAll();
  deadlines.start(sweepOf({ store, queue, runners, transitions, timings, log }));
  const keys = new IdempotencyKeys(store);
  const housekeeping = new Housekeeping({
    store,
    sessions,
    keys,
    statistics,
    keepMs: options.keepMs ?? 0,
    everyMs: timings.housekeepingEveryMs,
    log,
  });
  const router: Router = new Router(
    { "GET /health": () => Response.json({ status: "healthy" }), "GET /openapi.json": () => describeApi(router.names) },
    runnerRoutes({ store, runs, runners, polls, outputs, waiters, claims, transitions, timings, log }),
    runRoutes(store, runs, transitions, keys),
    outputRoutes(runs, runners, outputs),
    sessionRoutes({ store, sessions, events, trees: new SessionTrees(store), transitions, broadcast }),
    agentRoutes(agents),
    statsRoutes(store, runners, statistics),
  );
  const release = (): void => {
    deadlines[Symbol.dispose]();
    housekeeping[Symbol.dispose]();
    files?.[Symbol.dispose]();
    outputs.endAll();
    waiters.endAll();
    broadcast.close();
  };
  const counts: Service["counts"] = () => ({
    runs: runsNow(store),
    runners: runnersNow(runners),
    ended: statistics.sinceStart,
  });
  return { router, counts, release, close: () => store.close() };
}

/** Loaded when it is asked for: nothing else needs what makes JSON Schemas. */
async function describeApi(routes: readonly string[]): Promise<Response> {
  const { openApiDocument } = await import("./routes/openapi.ts");
  return Response.json(openApiDocument(routes));
}

async function answer(
  request: Request,
  server: Bun.Server<undefined>,
  { token, log }: CoordinatorOptions,
  service: Service | undefined,
): Promise<Response> {
  const cors = corsHeaders(request);
  let response: Response;
  try {
    const url = new URL(request.url);
    if (request.method === "OPTIONS" && cors["vary"]) return new Response(null, { status: 204, headers: cors });
    guard(request, url, token);
    if (!service) throw new Refusal("unavailable", "The coordinator is closing");
    const page = isOfPage(request.method, url.pathname) ? await answerPage(request, url.pathname) : null;
    if (page !== null) return page;
    const { handler, params } = service.router.find(request.method, url.pathname);
    response = await handler({ request, params, query: url.searchParams, keepOpen: () => server.timeout(request, 0) });
  } catch (error) {
    response = error instanceof Refusal ? refusalResponse(error) : internalError(error, log);
  }
  for (const [name, value] of Object.entries(cors)) response.headers.set(name, value);
  return response;
}

function internalError(error: unknown, log?: Log): Response {
  log?.error(`unexpected error: ${describeError(error)}`, { stack: error instanceof Error ? error.stack : undefined });
  return Response.json({ detail: "Internal error" }, { status: 500 });
}

/** The server gets a moment to send what it owes; a connection that stays open is then cut. */
async function shutDown(server: Bun.Server<undefined>, service: Service): Promise<void> {
  service.release();
  if ((await withDeadline(server.stop(), CLOSE_DEADLINE_MS)) === "timeout") {
    await withDeadline(server.stop(true), CLOSE_DEADLINE_MS);
  }
  service.close();
}

/** Where a client on this machine reaches it. */
function urlOf(host: string, port: number): string {
  if (host === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}
