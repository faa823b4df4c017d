const CODE_BYTES = 24;
const LIFETIME_MS = 10 * 60_000;
/** Each is a string of 32 characters: only a bound, for a client that asks without end. */
const MAX_OPEN = 100;

export const CODE_LIFETIME_SECONDS = LIFETIME_MS / 1000;

/** The codes of links to the dashboard. Each logs in once, for ten minutes. A restart forgets them. */
export class LoginCodes {
  /** Digest to the time of expiry. A search by digest takes a time that reveals nothing about a code. */
  readonly #open = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  create(): string {
    const code = Buffer.from(crypto.getRandomValues(new Uint8Array(CODE_BYTES))).toString("base64url");
    for (const [digest, expiry] of this.#open) if (expiry <= this.#now()) this.#open.delete(digest);
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= MAX_OPEN) this.#open.delete(oldest);
    this.#open.set(digestOf(code), this.#now() + LIFETIME_MS);
    return code;
  }

  /** Whether the code is valid. It is so for one call only. */
  redeem(code: string): boolean {
    const digest = digestOf(code);
    const expiry = this.#open.get(digest);
    this.#open.delete(digest);
    return expiry !== undefined && this.#now() < expiry;
  }
}

function digestOf(code: string): string {
  return new Bun.CryptoHasher("sha256").update(code).digest("hex");
}
