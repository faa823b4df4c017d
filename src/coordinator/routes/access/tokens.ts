import type { CreatedToken, CreateToken, Role, TokenShown } from "../../../protocol/access/tokens.ts";
import { digestOf } from "../../../protocol/access/bearer-token.ts";
import { Refusal } from "../../store/refusal.ts";
import { isoTime } from "../../store/clock.ts";
import type { Store } from "../../store/store.ts";

const TOKEN_BYTES = 32;
/** Only a bound, for a client that creates tokens without end. */
const MAX_TOKENS = 1_000;
/** A timer with a longer delay fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** After a fault of the database. */
const RETRY_MS = 1_000;

const SHOWN = "name, role, created_at, created_by, expires_at";

export interface Grant {
  readonly name: string;
  readonly role: Role;
}

/**
 * The tokens with a role. The database has their SHA-256 only: nobody can search 256 random bits, so a slower hash adds
 * nothing.
 */
export class Tokens implements Disposable {
  readonly #store: Store;
  readonly #onEnded: (name: string) => Promise<void>;
  #endings = 0;
  /** By name: the number of its last ending in this process. */
  readonly #lastEnding = new Map<string, number>();
  #isDisposed = false;
  #expiry: Timer | undefined;

  /** `onEnded` ends the open polls and streams of a token that was revoked or has expired. */
  constructor(store: Store, onEnded: (name: string) => Promise<void>) {
    this.#store = store;
    this.#onEnded = onEnded;
  }

  /** Call once: ends the open calls of the tokens that expire. */
  start(): Promise<void> {
    return this.#awaitExpiry();
  }

  /** Refuses, conflict: the name is taken, or there are too many tokens. */
  async create({ name, role, expires_in_seconds }: CreateToken, createdBy: string | null): Promise<CreatedToken> {
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES))).toString("base64url");
    const expiresAt = expires_in_seconds == null ? null : isoTime(expires_in_seconds * 1_000);
    const row = await this.#store.write(async () => {
      await this.#store.run("DELETE FROM tokens WHERE expires_at <= ?", isoTime());
      if ((await this.#store.get("SELECT 1 FROM tokens WHERE name = ?", name)) !== null)
        throw new Refusal(
          "conflict",
          `There is a token with the name ${name}: revoke it first, or choose another name`,
        );
      const count = (await this.#store.get<{ n: number }>("SELECT count(*) AS n FROM tokens"))?.n ?? 0;
      if (count >= MAX_TOKENS) throw new Refusal("conflict", `There are ${MAX_TOKENS} tokens: revoke some first`);
      return this.#store.get<TokenShown>(
        `INSERT INTO tokens (name, role, digest, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?, ?)
           RETURNING ${SHOWN}`,
        name,
        role,
        digestOf(token).toHex(),
        isoTime(),
        createdBy,
        expiresAt,
      );
    });
    if (row === null) throw new Error("INSERT returned no row");
    await this.#awaitExpiry();
    return { ...row, token };
  }

  /** In order of creation, without expired tokens. */
  all(): Promise<TokenShown[]> {
    return this.#store.all<TokenShown>(
      `SELECT ${SHOWN} FROM tokens WHERE expires_at IS NULL OR expires_at > ? ORDER BY seq`,
      isoTime(),
    );
  }

  /** Refuses: unknown. */
  async revoke(name: string): Promise<void> {
    const { changes } = await this.#store.write(() => this.#store.run("DELETE FROM tokens WHERE name = ?", name));
    if (changes === 0) throw new Refusal("unknown", `There is no token with the name ${name}`);
    await this.#end(name);
  }

  /** Searches by digest, so that the time taken reveals nothing about a token. Null: no such token, or expired. */
  find(candidate: string): Promise<Grant | null> {
    return this.#store.get<Grant>(
      "SELECT name, role FROM tokens WHERE digest = ? AND (expires_at IS NULL OR expires_at > ?)",
      digestOf(candidate).toHex(),
      isoTime(),
    );
  }

  /** How many tokens have ended in this process. */
  get endings(): number {
    return this.#endings;
  }

  /** For a call that stays open: its token may have ended before `onEnded` could find the call. */
  hasEndedSince(name: string, endings: number): boolean {
    return (this.#lastEnding.get(name) ?? 0) > endings;
  }

  async #end(name: string): Promise<void> {
    this.#lastEnding.set(name, ++this.#endings);
    await this.#onEnded(name);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#expiry);
  }

  /** Ends the open calls of the tokens that expire, and waits for the next one. */
  async #awaitExpiry(): Promise<void> {
    for (const { name } of await this.#store.all<Grant>(
      "SELECT name, role FROM tokens WHERE expires_at <= ?",
      isoTime(),
    ))
      await this.#end(name);
    const next = await this.#store.get<{ at: string | null }>(
      "SELECT min(expires_at) AS at FROM tokens WHERE expires_at > ?",
      isoTime(),
    );
    if (next?.at == null) return;
    this.#wakeIn(Math.min(Math.max(Date.parse(next.at) - Date.now(), 0) + 1, LONGEST_TIMER_MS));
  }

  #wakeIn(ms: number): void {
    clearTimeout(this.#expiry);
    if (this.#isDisposed) return;
    // The fault of a database is logged by its health.
    this.#expiry = setTimeout(() => void this.#awaitExpiry().catch(() => this.#wakeIn(RETRY_MS)), ms);
    this.#expiry.unref();
  }
}
