import type { Log } from "../log.ts";
import { AgentFolder } from "./agents/agent-folder.ts";
import { Agents } from "./agents/agents.ts";
import { Housekeeping } from "./housekeeping.ts";
import { aboutRoutes } from "./routes/about-routes.ts";
import { agentRoutes } from "./routes/agent-routes.ts";
import { Audit } from "./routes/access/audit.ts";
import { LoginCodes } from "./routes/access/login-codes.ts";
import { loginRoutes } from "./routes/access/login-routes.ts";
import { RunnerScope } from "./routes/access/runner-scope.ts";
import { tokenRoutes } from "./routes/access/token-routes.ts";
import { Tokens } from "./routes/access/tokens.ts";
import type { AnsweringService } from "./routes/answer.ts";
import { outputRoutes } from "./routes/output-routes.ts";
import { Router } from "./routes/router.ts";
import { runRoutes } from "./routes/run-routes.ts";
import { runnerRoutes } from "./routes/runner-routes.ts";
import { sessionRoutes } from "./routes/session-routes.ts";
import { statsRoutes } from "./routes/stats-routes.ts";
import { PollWaiters } from "./runners/poll-waiters.ts";
import { RunOutputs } from "./runners/run-outputs.ts";
import { Runners } from "./runners/runners.ts";
import { Callbacks, type CallbackTiming } from "./runs/callbacks.ts";
import { ClaimGate } from "./runs/claim-gate.ts";
import { Claims } from "./runs/claims.ts";
import { GiveBack } from "./runs/give-back.ts";
import { runnersNow, runsNow, type WorkCounts } from "./runs/counts.ts";
import { CreationBounds } from "./runs/creation-bounds.ts";
import { IdempotencyKeys } from "./runs/idempotency-keys.ts";
import { Polls } from "./runs/polls.ts";
import { Reconciliation } from "./runs/reconciliation.ts";
import { Retries } from "./runs/retries.ts";
import { RunAdoption } from "./runs/run-adoption.ts";
import { RunQueue } from "./runs/run-queue.ts";
import { RunEndings } from "./runs/run-endings.ts";
import { RunTransitions } from "./runs/run-transitions.ts";
import { Runs } from "./runs/runs.ts";
import { Statistics } from "./runs/statistics.ts";
import { Broadcast } from "./sessions/broadcast.ts";
import { EventBudget } from "./sessions/event-budget.ts";
import { SessionEvents } from "./sessions/session-events.ts";
import { SessionTrees } from "./sessions/session-trees.ts";
import { Sessions } from "./sessions/sessions.ts";
import { UsageLedger } from "./sessions/usage-ledger.ts";
import { BackgroundCheck } from "./store/background-check.ts";
import { Deadlines } from "./store/deadlines.ts";
import { History } from "./store/history.ts";
import { parseDatabaseUrl } from "./store/postgres/database-url.ts";
import { PostgresStore } from "./store/postgres/postgres-store.ts";
import { type Durability, SqliteStore } from "./store/sqlite-store.ts";
import type { Store } from "./store/store.ts";
import { type CoordinatorTimings, DEFAULT_TIMINGS } from "./store/timings.ts";
import { sweepOf } from "./sweep.ts";

/** Runners that do not say what they did before a backup was restored hold up no run for longer. */
const LONGEST_GATE_MS = 15 * 60_000;

export interface ServiceOptions {
  /** The SQLite file. Created if missing; the folder must exist. */
  readonly databasePath: string;
  /** The URL of a PostgreSQL database, which takes the place of the file. */
  readonly databaseUrl?: string;
  /** Default: `together`. */
  readonly callbacks?: CallbackTiming;
  /** How long ended runs and sessions without runs are kept; 0 or undefined: forever. */
  readonly keepMs?: number;
  /** An existing folder of agents defined by files. */
  readonly agentsDir?: string;
  /** Folders that the user vouches for, although others can write them. Default: none. */
  readonly trustedFolders?: readonly string[];
  readonly log: Log;
  readonly timings?: Partial<CoordinatorTimings>;
  /** What the events of one run may take; 0 or undefined: no limit. */
  readonly eventsLimitBytes?: number;
  /** Default: `disk`. */
  readonly durability?: Durability;
  /** For tests: stands between the coordinator and its database. */
  readonly wrapStore?: (store: Store) => Store;
  /** The token that every client must send. */
  readonly token?: string;
  /** Codes for links to the dashboard. */
  readonly loginCodes?: LoginCodes;
  /** The words that start this program, which checks a large database in another process; without them nothing does. */
  readonly selfCommand?: readonly string[];
}

/** The coordinator behind its HTTP server. */
export interface Service extends AnsweringService {
  readonly counts: () => Promise<WorkCounts>;
  /** Ends open polls and streams and all timers, so that the server can stop. */
  release(): void;
  close(): Promise<void>;
}

/** Opens the database and starts the timed work. UserError: database not usable. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const { databasePath, databaseUrl, durability = "disk", log } = options;
  const database =
    databaseUrl === undefined
      ? new SqliteStore(databasePath, log, durability)
      : await PostgresStore.open(parseDatabaseUrl(databaseUrl), log);
  const store = options.wrapStore?.(database) ?? database;
  try {
    const service = await startService(store, options);
    return withCheck(service, database instanceof SqliteStore ? backgroundCheckOf(options, database) : null);
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

async function startService(store: Store, options: ServiceOptions): Promise<Service> {
  const { log } = options;
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const parts = await createParts(store, options, timings);
  const { runners, claims, retries, callbacks, deadlines, statistics, tokens } = parts;
  await claims.renewAll(timings.noMatchTimeoutMs);
  await retries.limitWaits();
  await callbacks.deliverAll();
  await tokens.start();
  deadlines.start(sweepOf({ ...parts, timings, log }));
  const housekeeping = await Housekeeping.start({
    ...parts,
    keepMs: options.keepMs ?? 0,
    everyMs: timings.housekeepingEveryMs,
    log,
  });
  return {
    router: createRouter(parts, timings, options),
    store,
    tokens,
    audit: parts.audit,
    runnerScope: parts.runnerScope,
    counts: async () => ({
      runs: await runsNow(store),
      runners: await runnersNow(runners),
      ended: statistics.sinceStart,
    }),
    release() {
      deadlines[Symbol.dispose]();
      tokens[Symbol.dispose]();
      housekeeping[Symbol.dispose]();
      parts.files?.[Symbol.dispose]();
      parts.gate[Symbol.dispose]();
      parts.outputs.endAll();
      parts.waiters.endAll();
      parts.broadcast.close();
    },
    close: async () => store[Symbol.asyncDispose](),
  };
}

function withCheck(service: Service, check: BackgroundCheck | null): Service {
  const release = (): void => {
    check?.[Symbol.dispose]();
    service.release();
  };
  return { ...service, release };
}

/** Null where the file was checked as it was opened. */
function backgroundCheckOf(
  { databasePath, selfCommand, log }: ServiceOptions,
  store: SqliteStore,
): BackgroundCheck | null {
  if (store.isChecked || selfCommand === undefined) return null;
  return new BackgroundCheck({ store, path: databasePath, selfCommand, log });
}

/** Every part, from the database upwards; none of them has started. */
async function createParts(
  store: Store,
  { agentsDir, trustedFolders = [], callbacks: timing = "together", eventsLimitBytes = 0, log }: ServiceOptions,
  timings: CoordinatorTimings,
) {
  const { noMatchTimeoutMs, claimLeaseMs, pollTimeoutMs, stopRedeliveryMs } = timings;
  const deadlines = new Deadlines(store, log);
  const waiters = new PollWaiters();
  const broadcast = new Broadcast(store, timings.sseHeartbeatMs);
  const files = agentsDir === undefined ? null : new AgentFolder({ path: agentsDir, trustedFolders }, log);
  const agents = new Agents(store, files);
  const sessions = new Sessions(store, broadcast);
  const budget = new EventBudget(store, eventsLimitBytes);
  const events = new SessionEvents(store, sessions, new UsageLedger(store, sessions), broadcast, budget);
  const history = await History.begin(store);
  const runners = new Runners(store, deadlines, waiters, timings);
  const gate = await ClaimGate.open({
    store,
    history,
    runners,
    waiters,
    log,
    startMs: timings.startGateMs,
    restoredMs: Math.min(timings.lostAfterMs, LONGEST_GATE_MS),
  });
  const outputs = new RunOutputs(waiters, timings.outputTimeoutMs);
  const queue = new RunQueue(store, waiters, deadlines, noMatchTimeoutMs);
  const runs = new Runs({ store, sessions, agents, queue, deadlines, noMatchTimeoutMs });
  const bounds = new CreationBounds({ store, runs, agents });
  const claims = new Claims(store, queue, sessions, deadlines, claimLeaseMs, waiters, () => gate.isOpen);
  const adoption = new RunAdoption(store, claims, gate);
  const callbacks = new Callbacks(store, runs, sessions, events, timing);
  const statistics = new Statistics(store);
  const keys = new IdempotencyKeys(store);
  const shared = {
    store,
    history,
    gate,
    adoption,
    runs,
    bounds,
    runners,
    sessions,
    claims,
    queue,
    callbacks,
    statistics,
    waiters,
    broadcast,
  };
  const tokens = new Tokens(store, async (name) => {
    broadcast.endOf(name);
    for (const runnerId of await runners.ofToken(name)) waiters.supersede(runnerId);
  });
  const access = { tokens, audit: new Audit(store), runnerScope: new RunnerScope(store) };
  const retries = new Retries(store, queue, events);
  const endings = new RunEndings({ ...shared, retries });
  const transitions = new RunTransitions({ ...shared, endings });
  const giveBack = new GiveBack({ ...shared, endings });
  const reconciliation = new Reconciliation({ ...shared, transitions, log });
  const polls = new Polls({ ...shared, agents, transitions, outputs, log, pollTimeoutMs, stopRedeliveryMs });
  return {
    ...shared,
    ...access,
    retries,
    transitions,
    giveBack,
    reconciliation,
    polls,
    outputs,
    events,
    agents,
    files,
    keys,
    deadlines,
  };
}

function createRouter(
  parts: Awaited<ReturnType<typeof createParts>>,
  timings: CoordinatorTimings,
  { log, token, loginCodes = new LoginCodes() }: ServiceOptions,
): Router {
  const { store, gate, runs, runners, outputs, agents, statistics } = parts;
  const router: Router = new Router(
    aboutRoutes(store, gate, () => router.names),
    loginRoutes(loginCodes, token !== undefined, log),
    tokenRoutes(parts.tokens, parts.audit, token !== undefined, log),
    runnerRoutes({ ...parts, timings, log }),
    runRoutes(parts),
    outputRoutes(runs, runners, outputs),
    sessionRoutes({ ...parts, trees: new SessionTrees(store) }),
    agentRoutes(agents),
    statsRoutes(store, runners, statistics),
  );
  return router;
}
