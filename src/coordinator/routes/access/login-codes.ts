import { digestOf } from "../../../protocol/access/bearer-token.ts";

const CODE_BYTES = 24;
const LIFETIME_MS = 10 * 60_000;
/** Each is a string of 32 characters: only a bound, for a client that asks without end. */
const MAX_OPEN = 100;

export const CODE_LIFETIME_SECONDS = LIFETIME_MS / 1000;

/** The codes of links to the dashboard. Each logs in once, for ten minutes. A restart forgets them. */
export class LoginCodes {
  /** By digest: a search by digest takes a time that reveals nothing about a code. */
  readonly #open = new Map<string, { readonly token: string; readonly expiry: number }>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A code for one login with `token`. */
  create(token: string): string {
    const code = Buffer.from(crypto.getRandomValues(new Uint8Array(CODE_BYTES))).toString("base64url");
    for (const [digest, { expiry }] of this.#open) if (expiry <= this.#now()) this.#open.delete(digest);
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= MAX_OPEN) this.#open.delete(oldest);
    this.#open.set(keyOf(code), { token, expiry: this.#now() + LIFETIME_MS });
    return code;
  }

  /** The token of a code, which is valid for one call only; null for an invalid code. */
  redeem(code: string): string | null {
    const key = keyOf(code);
    const open = this.#open.get(key);
    this.#open.delete(key);
    return open !== undefined && this.#now() < open.expiry ? open.token : null;
  }
}

function keyOf(code: string): string {
  return digestOf(code).toHex();
}
