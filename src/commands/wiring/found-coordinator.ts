import type { Authorization, PinnedTls } from "../../client/credentials.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import type { Config } from "../../config/load-config.ts";
import { describeError } from "../../errors.ts";
import { findCoordinator } from "./running-coordinators.ts";
import { readTokenFile } from "./token-file.ts";

/** On macOS a check starts `ps`. */
const CHECK_EVERY_MS = 250;

type Settings = Pick<Config, "folders" | "stateDir" | "coordinatorUrl" | "coordinatorToken" | "noToken">;

/**
 * A coordinator of this user, found by its URL: its token, and its address where that is https. A runner may start
 * before its coordinator, and outlive it: so each request asks again. A configured token comes first.
 */
export class FoundCoordinator implements Authorization {
  readonly #config: Settings;
  #found: { readonly token: string | null } | null = null;
  #checkedAtMs = 0;
  #baseUrl: string | undefined;
  #tls: PinnedTls | undefined;

  constructor(config: Settings) {
    this.#config = config;
  }

  /** Stays when the coordinator is gone: the token must never go to another address than the one it was found for. */
  get baseUrl(): string | undefined {
    return this.#baseUrl;
  }

  /** Stays too: nobody else has the key of the certificate. */
  get tls(): PinnedTls | undefined {
    return this.#tls;
  }

  header(): Promise<string | null> {
    try {
      const token = this.#token();
      return Promise.resolve(token === null ? null : `Bearer ${token}`);
    } catch (error) {
      return Promise.reject(new CoordinatorFailure("unregistered", describeError(error)));
    }
  }

  refused(): void {
    this.#found = null;
  }

  #token(): string | null {
    const nowMs = performance.now();
    if (this.#found !== null && nowMs - this.#checkedAtMs < CHECK_EVERY_MS) return this.#found.token;
    this.#checkedAtMs = nowMs;
    const { coordinatorToken, noToken, coordinatorUrl } = this.#config;
    const coordinator = findCoordinator(this.#config, coordinatorUrl);
    const isSet = noToken || coordinatorToken !== undefined;
    const file = isSet ? null : (coordinator?.tokenFile ?? null);
    const token = coordinatorToken ?? (file === null ? null : readTokenFile(file));
    // A coordinator that is not there yet is looked for at each request.
    this.#found = coordinator === null ? null : { token };
    if (coordinator === null) return token;
    const { url, certificate } = coordinator;
    if (certificate !== null) {
      this.#baseUrl = url;
      if (this.#tls?.ca !== certificate) this.#tls = pinnedTo(certificate);
    } else if (file !== null && token !== null) {
      this.#baseUrl = url;
    }
    return token;
  }
}

/** Trusts this certificate alone, under any name: the coordinator is reached by its address. */
function pinnedTo(certificate: string): PinnedTls {
  return { ca: certificate, allowPartialTrustChain: true, checkServerIdentity: () => undefined };
}
