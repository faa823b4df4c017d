import { bearerTokenOf, isToken } from "../../../protocol/bearer-token.ts";
import { isLoopback, isTrustedHost, UNTRUSTED_HOST } from "../../../protocol/loopback.ts";
import { Refusal } from "../../store/refusal.ts";
import { isPageRequest } from "../dashboard-page.ts";
import { LOGIN_PATH } from "./login-routes.ts";

/**
 * Checks that a request may call the API. Refuses as unauthorized or forbidden.
 *
 * With a token: the request must carry the token. `/health`, `/login` and the dashboard's files are open. The event
 * stream also takes the token as `api_key`, as in the first generation: a browser's EventSource cannot send headers.
 *
 * Without a token: the coordinator listens on loopback only. The danger is a web page in this machine's browser.
 * `Origin` gives away a page of another origin; `Host` gives away a page that has rebound its own name to 127.0.0.1.
 */
export function guard(request: Request, { pathname, searchParams }: URL, token: string | undefined): void {
  if (token !== undefined) {
    const queryToken = pathname === "/sse/sessions" ? searchParams.get("api_key") : null;
    if (
      pathname === "/health" ||
      pathname === LOGIN_PATH ||
      isPageRequest(request.method, pathname) ||
      isToken(bearerTokenOf(request) ?? queryToken, token)
    )
      return;
    throw new Refusal("unauthorized", "A bearer token is required");
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !isLoopbackOrigin(origin))
    throw new Refusal("forbidden", "Requests from web pages of other origins are refused");
  if (!isTrustedHost(request.headers.get("host"))) throw new Refusal("forbidden", UNTRUSTED_HOST);
}

/** Lets dashboards served from another port of this machine read the answers. */
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
