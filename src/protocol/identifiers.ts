import * as v from "valibot";

/** A run's id. It names a folder on this machine, so it must not lead out of the parent folder. */
export const RunId = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, "a run id is 1 to 128 letters, digits, _ or -"),
);

/**
 * A session's id. Users may choose it, so more characters are allowed than in a run's id. Always escape it in a URL.
 */
export const SessionId = v.pipe(
  v.string(),
  // oxlint-disable-next-line no-control-regex
  v.regex(/^[^\x00-\x20\x7f/\\?#]{1,200}$/u, "a session id is 1 to 200 characters without spaces, slashes, ? or #"),
  v.check((id) => id !== "." && id !== "..", "a session id must not be . or .."),
);

/** 12 random hex digits, which follow the prefix in every id that a coordinator creates. */
export function randomHex12(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
}
