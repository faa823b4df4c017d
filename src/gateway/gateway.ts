import { NEVER } from "../async/never.ts";
import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log } from "../log.ts";
import { decide, type GatewayScope } from "./access.ts";
import type { Caller, ServeTools } from "./caller.ts";
import { answerOfFailure, detail } from "./forward.ts";
import { type Activity, type Earlier, Grant, newToken, OUTSIDE } from "./grant.ts";
import { answerOutside } from "./outside.ts";
import { listen, type Listening, type PortOptions } from "./gateway-port.ts";
import { requestUrl } from "../protocol/request-url.ts";
import { MAX_BODY_BYTES, mayBeLarge } from "../protocol/run.ts";
import type { TreeLimits } from "../protocol/creation-limits.ts";
import type { ChildBounds } from "./project-bounds.ts";

export interface GatewayOptions extends PortOptions {
  readonly coordinator: CoordinatorClient;
  readonly scope: GatewayScope;
  readonly limits: TreeLimits;
  readonly bounds: ChildBounds;
  /** Default for an executor's bind, like `executorType`. */
  readonly hostname: string;
  readonly executorType: string;
  readonly log: Log;
  /** Answers requests to `/mcp` under a run's token. */
  readonly serveTools?: ServeTools;
}

/** Below Bun's 256 requests in flight per process, bodies included: the runner's own reports always need room. */
const MAX_FORWARDED = 200;

/**
 * The local HTTP server that executors use as their coordinator. The first path segment is the run's token. `access.ts`
 * checks the rest, and the gateway forwards it with the runner's credentials.
 */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #grants = new Map<string, Grant>();
  readonly #slots = new Semaphore(MAX_FORWARDED);
  readonly #opened = Promise.withResolvers<void>();
  readonly #listening: Listening;

  /** Binds the port. Requests wait until `open`. */
  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#listening = listen(options, options.log, (address) => this.#serve(address));
  }

  get #tag(): string {
    return this.#options.identity === undefined ? "" : tagOf(this.#options.identity);
  }

  #serve(address: { readonly port?: number | string; readonly reusePort?: boolean }): Bun.Server<undefined> {
    return Bun.serve({
      ...address,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      maxRequestBodySize: MAX_BODY_BYTES,
      fetch: (request) => this.#answer(request),
      error: (error) => answerOfFailure(error),
    });
  }

  /**
   * Answers requests from now on. Call it when the tokens of adopted runs are known: a 401 would end their executors.
   */
  open(): void {
    this.#opened.resolve();
  }

  get port(): number {
    return this.#listening.server.port ?? 0;
  }

  /** The descriptor that reserves the port; null where the system cannot. Each executor's shim holds a copy. */
  get reservation(): number | null {
    return this.#listening.reserved?.fd ?? null;
  }

  /** Creates a grant for a run. Calls `onActivity` when the coordinator acknowledges an event of the run. */
  grant(runId: string, sessionId: string, onActivity: (activity: Activity) => void = () => {}): Grant {
    return this.#add(new Grant(runId, sessionId, this.#options.coordinator, onActivity, null, this.#tag));
  }

  /**
   * Creates the grant of an adopted run, with the token that its executor already has. On another port than before the
   * token is replaced: the program on the earlier port has heard it, and the executor cannot come here.
   */
  adopt(runId: string, sessionId: string, earlier: Earlier, onActivity: (activity: Activity) => void): Grant {
    const { coordinator, port } = this.#options;
    const isKept = port == null || port === this.port;
    const known = isKept ? earlier : { ...earlier, token: newToken(this.#tag) };
    return this.#add(new Grant(runId, sessionId, coordinator, onActivity, known));
  }

  #add(grant: Grant): Grant {
    this.#grants.set(grant.token, grant);
    return grant;
  }

  /** Invalidates the token and ends its streams. Lets writes in flight complete. */
  revoke(grant: Grant): void {
    this.#grants.delete(grant.token);
    grant.end();
  }

  /** The value of `AGENT_ORCHESTRATOR_API_URL` for the run's executor. */
  urlOf(grant: Grant): string {
    return `http://127.0.0.1:${this.port}/${grant.token}`;
  }

  /** The value of `${AGENT_ORCHESTRATOR_MCP_URL}` in the run's blueprint. */
  mcpUrlOf(grant: Grant): string {
    return `${this.urlOf(grant)}/mcp`;
  }

  /** The caller for an agent outside of all runs. `sessionId` is the session that the agent names as its own. */
  outsideCaller(sessionId: string | null): Caller {
    if (sessionId !== null)
      return { ...this.#callerOf(new Grant(OUTSIDE, sessionId, this.#options.coordinator, () => {})), runId: null };
    const call: Caller["call"] = (method, path, body) =>
      this.#slots.hold(() => answerOutside(this.#options, method, path, body));
    return { runId: null, sessionId, ended: NEVER, call };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#grants.clear();
    const { server, reserved } = this.#listening;
    await server.stop(true);
    reserved?.[Symbol.dispose]();
  }

  async #answer(request: Request): Promise<Response> {
    await this.#opened.promise;
    const url = requestUrl(request);
    const [, token = "", ...rest] = url.pathname.split("/");
    const grant = this.#grants.get(token);
    if (grant === undefined) return this.#isForeign(token) ? foreignToken() : noSuchToken();
    // Without a slot: a tool may wait long for a run to end. Each of its calls to the coordinator takes a slot.
    if (rest.join("/") === "mcp" && this.#options.serveTools !== undefined)
      return this.#options.serveTools(request, this.#callerOf(grant));
    return this.#decide(grant, request, rest, url.search);
  }

  /** Whether another runner made the token: its executors come here while it is down, if both had the same port. */
  #isForeign(token: string): boolean {
    return this.#tag !== "" && RUN_TOKEN.test(token) && !token.startsWith(this.#tag);
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
      const work = (): Promise<Response> => this.#withSlot(grant, isRead, () => decide(access));
      const answer = mayBeLarge(request) ? grant.largeBodies.hold(work) : work();
      return await (isRead ? answer : grant.track(answer));
    } catch (error) {
      return answerOfFailure(error);
    }
  }

  /** Resolves as soon as the answer begins. Holds the slot until the body ends or the reader disconnects. */
  #withSlot(grant: Grant, isRead: boolean, work: () => Promise<Response>): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const hold = async (): Promise<void> => {
      // The run may have ended while the request waited for its slot. Its last writes still go through.
      if (isRead && grant.ended.aborted) return resolve(noSuchToken());
      const response = await work();
      // The answer to a write is complete already; the answer to a read may stream for a long time.
      if (!isRead || response.body === null) return resolve(response);
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      resolve(new Response(readable, response));
      // Aborts without a reason: Bun's server would print a reason into the runner's log.
      await response.body
        .pipeTo(writable, { signal: grant.ended, preventAbort: true })
        .catch(() => writable.abort().catch(() => {}));
    };
    grant.slots.hold(() => this.#slots.hold(hold)).catch(reject);
    return promise;
  }
}

const RUN_TOKEN = /^[\w-]{32}$/;

function tagOf(identity: string): string {
  return new Bun.CryptoHasher("sha256").update(identity).digest("base64url").slice(0, 4);
}

/** Executors take a 401 for the end of their run, and wait on a 503 until their own gateway is back. */
function foreignToken(): Response {
  return detail(503, "This is the gateway of another runner; the one of this run is away");
}

function noSuchToken(): Response {
  return detail(401, "No such token: the run that it belonged to has ended, or never was");
}

/**
 * Rejects segments that would become another path when the coordinator decodes them: the check must match the request.
 */
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
