import type { Log } from "../../../log.ts";
import { bearerTokenOf, isToken } from "../../../protocol/access/bearer-token.ts";
import { isTrustedHost, UNTRUSTED_HOST } from "../../../protocol/loopback.ts";
import type { Caller } from "../../store/caller.ts";
import { ADMIN_NAME } from "../../../protocol/access/tokens.ts";
import { Refusal } from "../../store/refusal.ts";
import { isPageRequest } from "../dashboard-page.ts";
import { LOGIN_PATH } from "./login-routes.ts";
import type { Tokens } from "./tokens.ts";
import { WrongTokens } from "./wrong-tokens.ts";

export interface AccessRules {
  /** The token that every client must send. */
  readonly token?: string;
  /** Origins whose pages may call the coordinator, besides its own. */
  readonly allowedOrigins?: readonly string[];
  /** Names under which browsers may reach the coordinator, besides addresses and `localhost`. */
  readonly allowedHosts?: readonly string[];
}

/**
 * Checks that a request may call the API. Refuses as unauthorized or forbidden.
 *
 * With a token: the request must carry it, or one of the tokens with a role. `/health`, `/login` and the dashboard's
 * files are open. The event stream also takes the token as `api_key`, as in the first generation: a browser's
 * EventSource cannot send headers.
 *
 * Without a token: the coordinator listens on loopback only. The danger is a web page in this machine's browser.
 *
 * `Origin` and `Sec-Fetch-Site` give away a page of another origin; an <img> sends only the second. `Host` gives away
 * a page that has rebound its own name to 127.0.0.1, and so has the coordinator's origin.
 */
export class Guard implements Disposable {
  readonly #rules: AccessRules;
  readonly #wrongTokens: WrongTokens;

  constructor(rules: AccessRules, log: Log) {
    this.#rules = rules;
    this.#wrongTokens = new WrongTokens(log);
  }

  /** Who calls. Without a token everybody is the admin; for the open routes nobody is needed. */
  async check(
    request: Request,
    url: URL,
    address: string,
    tokens: Pick<Tokens, "find" | "endings" | "hasEndedSince">,
  ): Promise<Caller> {
    this.#refuseOtherHosts(request);
    const isPage = isPageRequest(request.method, url.pathname);
    this.#refuseOtherPages(request, isPage);
    const { token } = this.#rules;
    if (token === undefined) return { name: null, role: "admin", address };
    if (isPage || url.pathname === "/health" || url.pathname === LOGIN_PATH)
      return { name: null, role: "read", address };
    const candidate =
      bearerTokenOf(request) ?? (url.pathname === "/sse/sessions" ? url.searchParams.get("api_key") : null);
    if (isToken(candidate, token)) return { name: ADMIN_NAME, role: "admin", address };
    const { endings } = tokens;
    const grant = candidate === null ? null : await tokens.find(candidate);
    if (grant !== null) return { ...grant, address, hasEnded: () => tokens.hasEndedSince(grant.name, endings) };
    if (candidate !== null) await this.#wrongTokens.hold(address);
    throw new Refusal("unauthorized", "A bearer token is required");
  }

  /** Lets the pages of allowed origins read the answers; empty for every other request. */
  corsHeaders(request: Request): Record<string, string> {
    const origin = request.headers.get("origin");
    if (origin === null || !this.#isAllowed(origin)) return {};
    return {
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "GET, POST, PATCH, DELETE",
      "access-control-allow-headers": "authorization, content-type, last-event-id, idempotency-key",
      "access-control-expose-headers": "x-next-cursor, idempotent-replayed",
      vary: "Origin",
    };
  }

  [Symbol.dispose](): void {
    this.#wrongTokens[Symbol.dispose]();
  }

  /** With a token, only if there is a list: a page without the token gets nothing under any name. */
  #refuseOtherHosts({ headers }: Request): void {
    const { token, allowedHosts } = this.#rules;
    const host = headers.get("host");
    if ((token !== undefined && allowedHosts === undefined) || isTrustedHost(host)) return;
    const name = host?.toLowerCase() ?? "";
    if (allowedHosts?.some((allowed) => [name, name.replace(/:\d+$/, "")].includes(allowed.toLowerCase()))) return;
    throw new Refusal("forbidden", UNTRUSTED_HOST);
  }

  /** `isLinked`: a link on another site may lead here. */
  #refuseOtherPages({ headers }: Request, isLinked: boolean): void {
    const origin = headers.get("origin");
    if (origin !== null && this.#isAllowed(origin)) return;
    const site = headers.get("sec-fetch-site");
    const isOwnSite = isLinked || site === null || site === "same-origin" || site === "none";
    if (isOwnSite && (origin === null || isOriginOf(origin, headers.get("host")))) return;
    throw new Refusal("forbidden", "Requests from web pages of other origins are refused");
  }

  #isAllowed(origin: string): boolean {
    return this.#rules.allowedOrigins?.includes(origin) === true;
  }
}

/** Ignores the scheme: behind a proxy with TLS the coordinator does not know its own. */
function isOriginOf(origin: string, host: string | null): boolean {
  return host !== null && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}
