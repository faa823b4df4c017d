import { NEVER } from "../async/never.ts";
import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log } from "../log.ts";
import { decide, type GatewayScope } from "./access.ts";
import type { Caller, ServeTools } from "./caller.ts";
import { answerOfFailure, detail } from "./forward.ts";
import { type Activity, type Earlier, Grant } from "./grant.ts";
import { answerOutside } from "./outside.ts";
import type { TreeLimits } from "./tree-limits.ts";

export interface GatewayOptions {
  readonly coordinator: CoordinatorClient;
  readonly scope: GatewayScope;
  readonly limits: TreeLimits;
  /** Added to what an executor says when it binds its session. */
  readonly hostname: string;
  readonly executorType: string;
  readonly log: Log;
  /** Answers what comes to `/mcp` under a run's token. */
  readonly serveTools?: ServeTools;
  /** The port of an earlier start, whose executors have it in their environment; another is taken if it is not free. */
  readonly port?: number | null;
}

/** Not from the range that systems give out themselves (32768 to 60999 on Linux): a port must be free again after a restart. */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const ATTEMPTS = 50;

/** At most 256 requests of a process are in flight at once, bodies included: the runner's own reports must always find room. */
const MAX_FORWARDED = 200;
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/**
 * The local HTTP server that executors have as their coordinator. The first segment of the path is the run's token; what is behind
 * it is checked by `access.ts` and forwarded with the runner's credentials.
 */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #grants = new Map<string, Grant>();
  readonly #slots = new Semaphore(MAX_FORWARDED);
  readonly #server: Bun.Server<undefined>;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#server = this.#listen();
  }

  #listen(): Bun.Server<undefined> {
    const { port, log } = this.#options;
    if (port != null) {
      try {
        return this.#serve(port);
      } catch {
        log.warn(`Port ${port} of the earlier start is taken: executors that it left cannot reach their coordinator`);
      }
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#serve(FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1)));
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  #serve(port: number): Bun.Server<undefined> {
    return Bun.serve({
      hostname: "127.0.0.1",
      port,
      idleTimeout: 0,
      maxRequestBodySize: MAX_BODY_BYTES,
      fetch: (request) => this.#answer(request),
      error: (error) => answerOfFailure(error),
    });
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** `onActivity` is told what the coordinator has acknowledged of the run's events. */
  grant(runId: string, sessionId: string, onActivity: (activity: Activity) => void = () => {}): Grant {
    return this.#add(new Grant(runId, sessionId, this.#options.coordinator, onActivity));
  }

  /** The grant of a run that an earlier start of the runner began: the token that its executor has is good again. */
  restore(runId: string, sessionId: string, earlier: Earlier, onActivity: (activity: Activity) => void): Grant {
    return this.#add(new Grant(runId, sessionId, this.#options.coordinator, onActivity, earlier));
  }

  #add(grant: Grant): Grant {
    this.#grants.set(grant.token, grant);
    return grant;
  }

  /** The token is dead from now on, and the streams that were opened with it end. What is being written goes on. */
  revoke(grant: Grant): void {
    this.#grants.delete(grant.token);
    grant.end();
  }

  /** What the executor of this run gets as `AGENT_ORCHESTRATOR_API_URL`. */
  urlOf(grant: Grant): string {
    return `http://127.0.0.1:${this.port}/${grant.token}`;
  }

  /** What `${AGENT_ORCHESTRATOR_MCP_URL}` stands for. */
  mcpUrlOf(grant: Grant): string {
    return `${this.urlOf(grant)}/mcp`;
  }

  /** An agent outside of all runs that has shown a token of its own; `sessionId` is the session that it says is its own. */
  outsideCaller(sessionId: string | null): Caller {
    if (sessionId !== null)
      return { ...this.#callerOf(new Grant("outside", sessionId, this.#options.coordinator, () => {})), runId: null };
    const call: Caller["call"] = (method, path, body) =>
      this.#slots.hold(() => answerOutside(this.#options, method, path, body));
    return { runId: null, sessionId, ended: NEVER, call };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#grants.clear();
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const [, token = "", ...rest] = url.pathname.split("/");
    const grant = this.#grants.get(token);
    if (grant === undefined) return noSuchToken();
    // Not in a slot: it may wait for a run to end, and what it asks of the coordinator meanwhile takes one each time.
    if (rest.join("/") === "mcp" && this.#options.serveTools !== undefined)
      return this.#options.serveTools(request, this.#callerOf(grant));
    return this.#decide(grant, request, rest, url.search);
  }

  #callerOf(grant: Grant): Caller {
    const call: Caller["call"] = (method, path, body) => {
      const { pathname, search } = new URL(path, "http://gateway");
      const init =
        body === undefined
          ? { method }
          : { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      return this.#decide(grant, new Request(`http://gateway${path}`, init), pathname.split("/").slice(1), search);
    };
    return { runId: grant.runId, sessionId: grant.sessionId, ended: grant.ended, call };
  }

  async #decide(grant: Grant, request: Request, path: readonly string[], search: string): Promise<Response> {
    const segments = decodeSegments(path);
    if (segments === null) return detail(400, "Bad path");
    try {
      const access = { ...this.#options, request, segments, search, grant };
      const isRead = request.method === "GET";
      const answer = this.#withSlot(grant, isRead, () => decide(access));
      return await (isRead ? answer : grant.during(answer));
    } catch (error) {
      return answerOfFailure(error);
    }
  }

  /** The answer as soon as it begins. Its slot is free again when its body has ended, or its reader has gone. */
  #withSlot(grant: Grant, isRead: boolean, work: () => Promise<Response>): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const hold = async (): Promise<void> => {
      // The run may have ended while this waited for its turn; what it said last is still carried through.
      if (isRead && grant.ended.aborted) return resolve(noSuchToken());
      const response = await work();
      // What is written is answered as a whole; what is read may come over a long time.
      if (!isRead || response.body === null) return resolve(response);
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      resolve(new Response(readable, response));
      // Cut off without a reason: the server would print it, line by line, into the runner's log.
      await response.body
        .pipeTo(writable, { signal: grant.ended, preventAbort: true })
        .catch(() => writable.abort().catch(() => {}));
    };
    grant.slots.hold(() => this.#slots.hold(hold)).catch(reject);
    return promise;
  }
}

function noSuchToken(): Response {
  return detail(401, "No such token: the run that it belonged to has ended, or never was");
}

/** What is checked is what is sent: no segment may turn into a path of its own once it is decoded again at the coordinator. */
function decodeSegments(raw: readonly string[]): string[] | null {
  try {
    const segments = raw.map((segment) => decodeURIComponent(segment));
    if (segments.at(-1) === "") segments.pop();
    return segments.some((s) => s === "" || s === "." || s === ".." || s.includes("/") || s.includes("\\"))
      ? null
      : segments;
  } catch {
    return null;
  }
}
