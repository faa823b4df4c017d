/** The token of an `Authorization: Bearer` header; null where it shows none. */
export function bearerTokenOf(request: Request): string | null {
  return /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? null;
}

/** Compares digests, so that the time taken tells nothing about the token or its length. */
export function isToken(shown: string | null, token: string): boolean {
  return shown !== null && crypto.timingSafeEqual(digest(shown), digest(token));
}

function digest(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
