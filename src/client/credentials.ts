import { ofetch } from "ofetch";
import * as v from "valibot";
import type { ClientCredentials } from "../config/load-config.ts";
import { CoordinatorFailure, failureOfThrown } from "./failure.ts";

/** Gives the value of the `Authorization` header, or null where there is no authentication. */
export interface Authorization {
  header(): Promise<string | null>;
  /** The coordinator refused what `header` gave: the next one is a new one. */
  refused(): void;
}

export const noAuthorization: Authorization = { header: () => Promise.resolve(null), refused() {} };

/** A fixed token, as our own coordinator takes it. */
export function staticToken(token: string): Authorization {
  return { header: () => Promise.resolve(`Bearer ${token}`), refused() {} };
}

const REFRESH_EARLY_MS = 60_000;
const TOKEN_TIMEOUT_MS = 15_000;

const TokenAnswer = v.object({
  access_token: v.pipe(v.string(), v.minLength(1)),
  expires_in: v.nullish(v.pipe(v.number(), v.minValue(1)), 3600),
});

/**
 * OIDC client credentials (protocol, section 14). The token is kept until 60 s before its end; callers that come while one is being
 * fetched wait for that one. A failure is a CoordinatorFailure: no request goes out without authentication instead.
 */
export class OidcAuthorization implements Authorization {
  readonly #credentials: ClientCredentials;
  #token: { readonly value: string; readonly refreshAtMs: number } | undefined;
  #fetching: Promise<string> | undefined;

  constructor(credentials: ClientCredentials) {
    this.#credentials = credentials;
  }

  async header(): Promise<string> {
    if (this.#token !== undefined && Date.now() < this.#token.refreshAtMs) return `Bearer ${this.#token.value}`;
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
    return `Bearer ${await this.#fetching}`;
  }

  refused(): void {
    this.#token = undefined;
  }

  async #fetch(): Promise<string> {
    const { domain, clientId, clientSecret, audience } = this.#credentials;
    try {
      const answer: unknown = await ofetch(`${originOf(domain)}/oauth/token`, {
        method: "POST",
        body: { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret, audience },
        retry: false,
        timeout: TOKEN_TIMEOUT_MS,
      });
      return this.#keep(answer);
    } catch (error) {
      // The error of the library would carry the request with the secret: only its words go on.
      const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : null;
      if (status !== null && status >= 400 && status < 500 && status !== 408 && status !== 429) {
        throw new CoordinatorFailure(
          "unregistered",
          `the identity provider ${domain} refused the client credentials (${status})`,
          status,
        );
      }
      const { message } = failureOfThrown(`no token from ${domain}`, error);
      throw new CoordinatorFailure("unreachable", message);
    }
  }

  #keep(answer: unknown): string {
    const parsed = v.safeParse(TokenAnswer, answer);
    // The words of the schema's fault would quote the answer, and a token may be in it.
    if (!parsed.success) throw new Error("an answer that holds no token");
    const lifeMs = parsed.output.expires_in * 1000;
    this.#token = {
      value: parsed.output.access_token,
      refreshAtMs: Date.now() + Math.max(lifeMs - REFRESH_EARLY_MS, lifeMs / 2),
    };
    return parsed.output.access_token;
  }
}

/** Always https, but for a stand-in on this machine that is given as `http://127.0.0.1:port`. */
function originOf(domain: string): string {
  return /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(domain) ? domain : `https://${domain}`;
}
