import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Generation } from "../../src/protocol/poll.ts";
import { freePort } from "../faults/free-port.ts";
import { until } from "../harness/until.ts";
import { type Answer, type Behaviour, detail, json } from "./answers.ts";
import type { FakeRun, QueuedRun } from "./fake-runs.ts";
import type { FakeTimings } from "./fake-runners.ts";
import { FakeState } from "./fake-state.ts";

type Body = Readonly<Record<string, unknown>>;

/** One recorded request. `at` is `performance.now()`. `answeredAt` and `status` are set once it is answered. */
export interface RecordedRequest {
  readonly route: string;
  readonly id: string;
  readonly query: URLSearchParams;
  readonly body: Body;
  readonly at: number;
  status?: number | "dropped";
  answeredAt?: number;
  /** True if the client disconnected before the answer. */
  abandoned?: boolean;
}

const ROUTES = [
  "GET /health",
  "POST /runner/register",
  "GET /runner/runs",
  "POST /runner/heartbeat",
  "POST /runner/runs/:id/started",
  "POST /runner/runs/:id/completed",
  "POST /runner/runs/:id/failed",
  "POST /runner/runs/:id/stopped",
  "DELETE /runners/:id",
  "POST /runs",
  "GET /runs",
  "GET /runs/:id",
  "GET /sessions",
  "GET /sessions/:id",
  "GET /sessions/:id/status",
  "GET /sessions/:id/result",
  "GET /sessions/:id/events",
  "POST /sessions/:id/stop",
  "DELETE /sessions/:id",
  "POST /sessions/:id/bind",
  "POST /sessions/:id/events",
  "PATCH /sessions/:id/metadata",
  "GET /agents",
  "GET /agents/:id",
  "GET /mcp-servers/:id",
] as const;
export type Route = (typeof ROUTES)[number];

const MATCHERS = ROUTES.map((route) => ({ route, pattern: new RegExp(`^${route.replace(":id", "([^/]+)")}$`) }));
const REPORTS = ["started", "completed", "failed", "stopped"] as const;

/**
 * A Python coordinator as a runner sees it (`docs/protocol.md`, sections 1 to 5), with its faults, on a real socket.
 * Records every request, and can misbehave at any endpoint. Uses node:http, which can drop a connection without an
 * answer.
 */
export class FakeCoordinator implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  readonly state: FakeState;
  readonly #once = new Map<Route, Behaviour[]>();
  readonly #always = new Map<Route, Behaviour>();
  #server: Server | undefined;
  #port = 0;

  constructor(options: { generation?: Generation } & Partial<FakeTimings> = {}) {
    const { generation = "first", pollTimeoutSeconds = 1, heartbeatIntervalSeconds = 60 } = options;
    this.state = new FakeState(generation, { pollTimeoutSeconds, heartbeatIntervalSeconds });
  }

  static async start(options?: ConstructorParameters<typeof FakeCoordinator>[0]): Promise<FakeCoordinator> {
    const fake = new FakeCoordinator(options);
    await fake.up();
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts to listen; after `down`, on the same port as before, which must not be taken in between. */
  async up(): Promise<void> {
    if (this.#port === 0) this.#port = await freePort();
    const server = createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#port, "127.0.0.1", resolve));
  }

  /** Closes every connection and refuses new ones. Keeps its state. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Applies one of these to each of the next requests to `route`. */
  next(route: Route, ...behaviours: Behaviour[]): void {
    this.#once.set(route, [...(this.#once.get(route) ?? []), ...behaviours]);
  }

  /** Applies this to every request to `route`; null restores the correct answer. */
  always(route: Route, behaviour: Behaviour | null): void {
    if (behaviour === null) this.#always.delete(route);
    else this.#always.set(route, behaviour);
  }

  queue(run?: QueuedRun): FakeRun {
    return this.state.queue(run);
  }

  /** Stops a run, and resolves once the runner has received the stop, which its next poll proves. */
  async stop(run: FakeRun): Promise<void> {
    this.state.stop(run);
    await until(
      "the runner to receive the stop",
      () => this.state.stops.length === 0 && this.calls("GET /runner/runs").at(-1)?.answeredAt === undefined,
    );
  }

  calls(route: Route): RecordedRequest[] {
    return this.requests.filter((request) => request.route === route);
  }

  /** The verbs of a run's accepted reports, in order. */
  reportsOf(run: FakeRun): string[] {
    return this.requests.flatMap(({ route, id, status }) => {
      const verb = REPORTS.find((name) => route.endsWith(`/${name}`));
      return verb !== undefined && id === run.run_id && status === 200 ? [verb] : [];
    });
  }

  eventsOf(run: FakeRun): readonly Body[] {
    return this.state.sessions.get(run.session_id)?.events ?? [];
  }

  /** The number of polls whose client disconnected before the answer: each may claim a run that is then lost. */
  get abandonedPolls(): number {
    return this.calls("GET /runner/runs").filter(({ abandoned }) => abandoned).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const match = MATCHERS.map(({ route, pattern }) => ({
      route,
      found: pattern.exec(`${request.method} ${url.pathname}`),
    })).find(({ found }) => found);
    if (match === undefined) return send(response, detail(404, "Not Found"));
    const body = await bodyOf(request);
    const id = decodeURIComponent(match.found?.[1] ?? "");
    const recorded: RecordedRequest = { route: match.route, id, query: url.searchParams, body, at: performance.now() };
    this.requests.push(recorded);
    response.once("close", () => {
      if (recorded.answeredAt === undefined) recorded.abandoned = true;
    });
    const behave = this.#once.get(match.route)?.shift() ?? this.#always.get(match.route);
    const handle = (): Promise<Answer> => Promise.resolve(this.#handle(match.route, id, recorded));
    const answer = await (behave === undefined ? handle() : behave(handle));
    recorded.answeredAt = performance.now();
    recorded.status = answer.kind === "reply" ? answer.status : "dropped";
    send(response, answer);
  }

  #handle(route: Route, id: string, { body, query }: RecordedRequest): Answer | Promise<Answer> {
    const { state } = this;
    const verb = REPORTS.find((name) => route.endsWith(`/${name}`));
    if (verb !== undefined) return state.report(id, verb, body);
    switch (route) {
      case "GET /health":
        return json(200, { status: "healthy" });
      case "POST /runner/register":
        return state.register(body);
      case "GET /runner/runs":
        return state.poll(query.get("runner_id") ?? "");
      case "POST /runner/heartbeat":
        return state.heartbeat(body);
      case "DELETE /runners/:id":
        return state.deregister(id, query.get("self") === "true");
      case "POST /runs":
        return state.createRun(body);
      case "GET /runs":
        return state.showRuns();
      case "GET /runs/:id":
        return state.showRun(id);
      case "GET /sessions":
        return json(200, { sessions: [...state.sessions.values()] });
      case "GET /sessions/:id/status":
        return json(200, { status: state.sessions.get(id)?.status ?? "not_existent" });
      case "GET /sessions/:id/result":
        return state.result(id);
      case "POST /sessions/:id/stop":
        return state.stopSession(id);
      case "DELETE /sessions/:id":
        return state.deleteSession(id);
      case "GET /agents":
        return json(200, [...state.agents.values()]);
      case "GET /sessions/:id":
      case "PATCH /sessions/:id/metadata":
        return state.showSession(id);
      case "POST /sessions/:id/bind":
        return state.bind(id, body);
      case "POST /sessions/:id/events":
        return state.addEvent(id, body);
      case "GET /sessions/:id/events":
        return json(200, { events: state.sessions.get(id)?.events ?? [] });
      case "GET /agents/:id":
        return foundIn(state.agents, id);
      case "GET /mcp-servers/:id":
        return foundIn(state.mcpServers, id);
      default:
        return detail(404, "Not Found");
    }
  }
}

function foundIn(rows: ReadonlyMap<string, object>, id: string): Answer {
  const row = rows.get(id);
  return row === undefined ? detail(404, `Not found: ${id}`) : json(200, row);
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? {} : (JSON.parse(text) as Body);
}

function send(response: ServerResponse, answer: Answer): void {
  switch (answer.kind) {
    case "drop":
      response.socket?.destroy();
      return;
    case "cut":
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.body.length * 2 + 10 });
      response.write(answer.body, () => response.socket?.destroy());
      return;
    case "reply":
      response.writeHead(answer.status, { "content-type": answer.contentType });
      response.end(answer.body);
  }
}
