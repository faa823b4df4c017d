import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import type { Authorization } from "../../src/client/credentials.ts";
import { staticToken } from "../harness/authorization.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { GatewayScope } from "../../src/gateway/access.ts";
import type { TreeLimits } from "../../src/protocol/creation-limits.ts";
import type { Grant } from "../../src/gateway/grant.ts";
import { silentLog } from "../../src/log.ts";
import { type Received, type StubServer, stubServer } from "../client/stub-server.ts";

/**
 * One tree: parent (run_parent) -> own (run_own) -> child (run_child) -> grandchild. Another tree: foreign
 * (run_foreign).
 */
const PARENTS: Readonly<Record<string, string | null>> = {
  parent: null,
  own: "parent",
  child: "own",
  grandchild: "child",
  foreign: null,
};
const RUNS: Readonly<Record<string, string>> = {
  run_own: "own",
  run_child: "child",
  run_parent: "parent",
  run_foreign: "foreign",
};

export interface GatewayFixture extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly grant: Grant;
  readonly coordinator: StubServer;
  /** The forwarded requests, without the gateway's own requests about sessions and runs. */
  forwarded(): Received[];
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: unknown }>;
}

export interface FixtureOptions {
  readonly scope?: GatewayScope;
  readonly authorization?: Authorization;
  readonly limits?: Partial<TreeLimits>;
  /** Answers in place of the stub coordinator, unless it returns undefined. */
  readonly answer?: (received: Received, request: Request) => Response | Promise<Response> | undefined;
}

/** A gateway with a grant for the session `own`, and a stub coordinator with a small tree of sessions. */
export function gatewayFixture(options: FixtureOptions = {}): GatewayFixture {
  const coordinator = stubServer((received, request) => options.answer?.(received, request) ?? answerOf(received));
  const authorization = options.authorization ?? staticToken("runner-token");
  const gateway = new Gateway({
    coordinator: new CoordinatorClient(coordinator.url, authorization),
    scope: options.scope ?? "tree",
    limits: { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0, ...options.limits },
    bounds: { projectDir: "/p", childrenAnywhere: false, maxAttempts: 1 },
    hostname: "this-host",
    executorType: "test-executor",
    log: silentLog,
  });
  gateway.open();
  const grant = gateway.grant("run_own", "own");
  return {
    gateway,
    grant,
    coordinator,
    forwarded: () =>
      coordinator.received.filter(
        ({ headers }) => headers.get("x-from") === "executor" || headers.get("accept-encoding") === "identity",
      ),
    async call(method, path, body, headers = {}) {
      const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
      const response = await fetch(gateway.urlOf(grant) + path, {
        method,
        headers: { "x-from": "executor", ...headers },
        ...(text === undefined ? {} : { body: text }),
      });
      const answer = await response.text();
      return { status: response.status, body: isJson(answer) ? JSON.parse(answer) : answer };
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await coordinator[Symbol.asyncDispose]();
    },
  };
}

function isJson(text: string): boolean {
  return text.startsWith("{") || text.startsWith("[");
}

function answerOf({ method, url }: Received): Response {
  const { pathname } = new URL(url, "http://x");
  const [, head = "", id = "", action] = pathname.split("/");
  if (method === "GET" && pathname === "/sessions") {
    return Response.json({ sessions: Object.keys(PARENTS).map(sessionOf), total: 5 });
  }
  if (method === "GET" && pathname === "/runs") {
    return Response.json({
      runs: Object.entries(RUNS).map(([run_id, session_id]) => ({ run_id, session_id, status: "running" })),
    });
  }
  if (method === "GET" && head === "sessions" && action === undefined) {
    return id in PARENTS
      ? Response.json({ session: sessionOf(id) })
      : Response.json({ detail: "Session not found" }, { status: 404 });
  }
  if (method === "GET" && head === "runs") {
    const session_id = RUNS[id];
    return session_id === undefined
      ? Response.json({ detail: "Run not found" }, { status: 404 })
      : Response.json({ run_id: id, session_id, status: "running" });
  }
  if (method === "POST" && pathname === "/runs")
    return Response.json({ run_id: "run_new", session_id: "new", status: "pending" });
  return Response.json({ ok: true });
}

function sessionOf(session_id: string): object {
  return { session_id, status: "running", parent_session_id: PARENTS[session_id] ?? null };
}
