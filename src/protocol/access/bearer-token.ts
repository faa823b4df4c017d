/** The token in the `Authorization: Bearer` header; null if there is none. */
export function bearerTokenOf(request: Request): string | null {
  return /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? null;
}

/** Compares digests, so that the time taken reveals neither the token nor its length. */
export function isToken(candidate: string | null, token: string): boolean {
  return candidate !== null && crypto.timingSafeEqual(digestOf(candidate), digestOf(token));
}

/** SHA-256. */
export function digestOf(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
