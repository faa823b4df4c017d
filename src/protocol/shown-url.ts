/** A run's token at the gateway: a segment of the path, 24 random bytes in base64url. */
const RUN_TOKEN = /\/[\w-]{32}(?=\/|$)/g;

/**
 * A URL as messages, logs and databases may show it: without a password, a query and a run's token. Every message that
 * names a URL must use this.
 */
export function shownUrl(text: string): string {
  // A proxy may have no scheme. "user:secret@host" alone is a URL with the scheme "user:".
  const url = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url)) return "an invalid URL";
  const { origin, protocol, host, pathname } = new URL(url);
  const start = origin === "null" ? `${protocol}//${host}` : origin;
  return `${start}${pathname.replace(RUN_TOKEN, "/<token>")}`.replace(/\/+$/, "");
}
