import { bearerTokenOf, isToken } from "../../protocol/bearer-token.ts";
import { isLoopback, isTrustedHost, UNTRUSTED_HOST } from "../../protocol/loopback.ts";
import { HttpError } from "./http.ts";
import { isOfPage } from "./dashboard-page.ts";

/**
 * Who may call. With a token: whoever shows it (`GET /health` and the dashboard's own files are open; a browser's EventSource cannot send headers, so the stream takes it
 * as `api_key` too, as the seed generation does). Without one the coordinator listens on loopback
 * only, and the danger is a web page in this machine's browser: a page of another origin is known by its `Origin`, one
 * that has rebound its own name to 127.0.0.1 by its `Host`. Throws 401 or 403.
 */
export function guard(request: Request, { pathname, searchParams }: URL, token: string | undefined): void {
  if (token !== undefined) {
    const inQuery = pathname === "/sse/sessions" ? searchParams.get("api_key") : null;
    if (
      pathname === "/health" ||
      isOfPage(request.method, pathname) ||
      isToken(bearerTokenOf(request) ?? inQuery, token)
    )
      return;
    throw new HttpError(401, "A bearer token is required");
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !isLoopbackOrigin(origin))
    throw new HttpError(403, "Requests from web pages of other origins are refused");
  if (!isTrustedHost(request.headers.get("host"))) throw new HttpError(403, UNTRUSTED_HOST);
}

/** Dashboards served from another port of this machine may read the answers. */
export function corsHeaders(request: Request): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null || !isLoopbackOrigin(origin)) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, POST, PATCH, DELETE",
    "access-control-allow-headers": "authorization, content-type, last-event-id, idempotency-key",
    "access-control-expose-headers": "x-next-cursor, idempotent-replayed",
    vary: "Origin",
  };
}

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && isLoopback(new URL(origin).hostname);
}
