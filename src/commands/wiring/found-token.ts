import type { Authorization } from "../../client/credentials.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import type { Config } from "../../config/load-config.ts";
import { describeError } from "../../errors.ts";
import { findCoordinator, isLive, type RunningCoordinator } from "./running-coordinators.ts";
import { readTokenFile } from "./token-file.ts";

/** On macOS a check starts `ps`. */
const CHECK_EVERY_MS = 250;

/**
 * The token of a coordinator of this user, found by its URL. A runner may start before its coordinator, and outlive
 * it: so each request asks again.
 */
export class FoundToken implements Authorization {
  readonly #config: Pick<Config, "folders" | "stateDir" | "coordinatorUrl">;
  #found: { readonly coordinator: RunningCoordinator; readonly token: string } | null = null;
  #checkedAtMs = 0;
  #baseUrl: string | undefined;

  constructor(config: Pick<Config, "folders" | "stateDir" | "coordinatorUrl">) {
    this.#config = config;
  }

  /** Stays when the coordinator is gone: the token must never go to another address than the one it was found for. */
  get baseUrl(): string | undefined {
    return this.#baseUrl;
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
    if (this.#found !== null && isLive(this.#found.coordinator)) return this.#found.token;
    this.#found = null;
    const coordinator = findCoordinator(this.#config, this.#config.coordinatorUrl);
    const token = coordinator === null ? null : readTokenFile(coordinator.tokenFile);
    if (coordinator === null || token === null) return null;
    this.#found = { coordinator, token };
    this.#baseUrl = coordinator.url;
    return token;
  }
}
