import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Caller } from "../store/caller.ts";
import { Refusal } from "../store/refusal.ts";
import { answerPage, isPageRequest } from "./dashboard-page.ts";
import type { Guard } from "./access/guard.ts";
import type { Audit } from "./access/audit.ts";
import { isRecorded, requireRole } from "./access/roles.ts";
import type { RunnerScope } from "./access/runner-scope.ts";
import type { Tokens } from "./access/tokens.ts";
import { refusalResponse } from "./refusal-status.ts";
import { requestUrl } from "../../protocol/request-url.ts";
import type { Router } from "./router.ts";
import type { Store } from "../store/store.ts";

export interface Answering {
  readonly guard: Guard;
  readonly log: Log;
  /** Null while the coordinator opens or closes. */
  readonly service: AnsweringService | null;
}

export interface AnsweringService {
  readonly router: Router;
  readonly store: Store;
  readonly tokens: Tokens;
  readonly audit: Audit;
  readonly runnerScope: RunnerScope;
}

/** Answers one request of the server. Never rejects: an unexpected error is logged and becomes a 500. */
export async function answer(
  request: Request,
  server: Bun.Server<undefined>,
  { guard, log, service }: Answering,
): Promise<Response> {
  const cors = guard.corsHeaders(request);
  let response: Response;
  try {
    const url = requestUrl(request);
    if (request.method === "OPTIONS" && cors["vary"]) return new Response(null, { status: 204, headers: cors });
    // Before the check of the token: a client may not find the token yet, and must not take that for a refusal.
    if (service === null) throw new Refusal("unavailable", "The coordinator is opening or closing");
    const address = server.requestIP(request)?.address ?? "an unknown address";
    const caller = await guard.check(request, url, address, service.tokens);
    const page = isPageRequest(request.method, url.pathname) ? await answerPage(request, url.pathname) : null;
    if (page !== null) return page;
    // A damaged database answers with wrong data. The route says itself what is wrong.
    if (url.pathname !== "/health") service.store.health.requireSound();
    response = await carryOut(request, url, caller, service, () => server.timeout(request, 0));
    // What an answer acknowledges, or shows, is on the disk before it leaves.
    await service.store.durable();
  } catch (error) {
    const refusal = error instanceof Refusal ? error : service?.store.health.refusalFor(error);
    response = refusal ? refusalResponse(refusal) : internalError(error, log);
  }
  for (const [name, value] of Object.entries(cors)) response.headers.set(name, value);
  return response;
}

/** Calls the handler of the route, if the caller may use it, and records a change. */
async function carryOut(
  request: Request,
  url: URL,
  caller: Caller,
  { router, audit, runnerScope }: AnsweringService,
  keepOpen: () => void,
): Promise<Response> {
  const { name, handler, params } = router.find(request.method, url.pathname);
  if (name !== null) {
    requireRole(caller, name);
    await runnerScope.requirePath(caller, name, params);
  }
  let subject = Object.values(params).at(-1) ?? null;
  const about = (changed: string): void => void (subject = changed);
  const response = await handler({ request, params, query: url.searchParams, caller, about, keepOpen });
  // Before the answer: a change that the client knows of is in the list.
  const isRepeated = response.headers.has("idempotent-replayed");
  if (name !== null && response.ok && !isRepeated && isRecorded(name)) await audit.add(caller, name, subject);
  return response;
}

export function internalError(error: unknown, log?: Log): Response {
  log?.error(`Unexpected error: ${describeError(error)}`, { stack: error instanceof Error ? error.stack : undefined });
  return Response.json({ detail: "Internal error" }, { status: 500 });
}

export type AnswerClass = "2xx" | "3xx" | "4xx" | "5xx";

export function answerClassOf({ status }: Response): AnswerClass {
  if (status < 300) return "2xx";
  if (status < 400) return "3xx";
  return status < 500 ? "4xx" : "5xx";
}
