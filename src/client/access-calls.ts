import type * as v from "valibot";
import {
  AuditAnswer,
  type AuditEntry,
  CallerAnswer,
  type CreatedToken,
  CreatedTokenAnswer,
  type CreateToken,
  TokenRevokedAnswer,
  TokensAnswer,
  type TokenShown,
} from "../protocol/access/tokens.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import { type Call, callCoordinator } from "./http.ts";
import type { Newest } from "./newest-rows.ts";

const AUDIT_PAGE = 1_000;

/** Calls about tokens and the audit list. Only the built-in coordinator has them. All but `caller` need an admin. */
export class AccessCalls {
  readonly #client: CoordinatorClient;

  constructor(client: CoordinatorClient) {
    this.#client = client;
  }

  caller(): Promise<CallerAnswer> {
    return this.#call({ method: "GET", path: "/caller", answer: CallerAnswer });
  }

  /** The answer has the secret, which the coordinator does not store. */
  createToken(body: CreateToken): Promise<CreatedToken> {
    return this.#call({ method: "POST", path: "/tokens", body, answer: CreatedTokenAnswer });
  }

  async tokens(): Promise<TokenShown[]> {
    return (await this.#call({ method: "GET", path: "/tokens", answer: TokensAnswer })).tokens;
  }

  async revokeToken(name: string): Promise<void> {
    await this.#call({ method: "DELETE", path: `/tokens/${encodeURIComponent(name)}`, answer: TokenRevokedAnswer });
  }

  /** The newest changes, oldest first. */
  async audit(limit: number): Promise<Newest<AuditEntry>> {
    const rows: AuditEntry[] = [];
    let cursor: string | null = "";
    while (cursor !== null && rows.length < limit) {
      const page = new URLSearchParams({ limit: String(Math.min(AUDIT_PAGE, limit - rows.length)) });
      if (cursor !== "") page.set("cursor", cursor);
      const answer = await this.#call({ method: "GET", path: `/audit?${page.toString()}`, answer: AuditAnswer });
      rows.push(...answer.audit);
      cursor = answer.next_cursor;
    }
    return { rows: rows.reverse(), isCut: cursor !== null };
  }

  #call<S extends v.GenericSchema>(call: Call<S>): Promise<v.InferOutput<S>> {
    return callCoordinator(this.#client.baseUrl, this.#client.authorization, call);
  }
}
