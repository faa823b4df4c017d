import { ofetch } from "ofetch";
import * as v from "valibot";
import type { ClientCredentials } from "../config/load-config.ts";
import { CoordinatorFailure, failureOfThrown } from "./failure.ts";

export interface Authorization {
  /** The value of the `Authorization` header; null without authentication. */
  header(): Promise<string | null>;
  /** Call when the coordinator refused the header, so that `header` fetches a new token. */
  refused(): void;
  /** The only address that may get the header, if that is another than the client's. Read it after `header`. */
  readonly baseUrl?: string | undefined;
  /** How `baseUrl` proves who it is, where that is not by the usual authorities. Read it after `header`. */
  readonly tls?: PinnedTls | undefined;
}

/** One certificate that is trusted, in place of the authorities. `fetch` takes it as its option `tls`. */
export interface PinnedTls {
  /** PEM. */
  readonly ca: string;
  readonly allowPartialTrustChain: true;
  readonly checkServerIdentity: () => undefined;
}

/** The option `tls` of a request. */
export function tlsOf({ tls }: Authorization): { readonly tls?: PinnedTls } {
  return tls === undefined ? {} : { tls };
}

const REFRESH_EARLY_MS = 60_000;
const TOKEN_TIMEOUT_MS = 15_000;

const TokenAnswer = v.object({
  access_token: v.pipe(v.string(), v.minLength(1)),
  expires_in: v.nullish(v.pipe(v.number(), v.minValue(1)), 3600),
});

/**
 * OIDC client credentials (`docs/protocol.md`, section 14). Keeps a token until 60 s before it expires, or for half its
 * lifetime if it lives less than two minutes. Concurrent callers share one fetch. Rejects with a CoordinatorFailure,
 * so that no request is sent without authentication.
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
        // The secret goes to the configured provider only.
        redirect: "error",
        timeout: TOKEN_TIMEOUT_MS,
      });
      return this.#keep(answer);
    } catch (error) {
      // Drops the library's error, which carries the request with the secret, and keeps only its message.
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
    // Drops the schema's message, which quotes the answer and with it possibly a token.
    if (!parsed.success) throw new Error("the answer contains no token");
    const lifeMs = parsed.output.expires_in * 1000;
    this.#token = {
      value: parsed.output.access_token,
      refreshAtMs: Date.now() + Math.max(lifeMs - REFRESH_EARLY_MS, lifeMs / 2),
    };
    return parsed.output.access_token;
  }
}

/** Always https, except for a test provider on this machine, configured as `http://127.0.0.1:port`. */
function originOf(domain: string): string {
  return /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(domain) ? domain : `https://${domain}`;
}
