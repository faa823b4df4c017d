type Environment = Readonly<Record<string, string | undefined>>;

export const SECRET_NAME = /TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|KEY$/i;
/** A shorter value would match unrelated text. */
const MIN_LENGTH = 8;

/**
 * Redacts secrets in events and messages. Secrets are the values of variables with a secret's name, the passwords in
 * URLs of variables (proxies, databases), the token in the gateway's URL, and what MCP servers get as credentials.
 */
export function redactor(env: Environment, credentials: readonly string[]): (text: string) => string {
  const named = Object.entries(env).filter(([name]) => SECRET_NAME.test(name));
  const withoutScheme = credentials.flatMap((value) => [value, value.replace(/^(?:Bearer|Basic)\s+/i, "")]);
  const secrets = [
    ...named.map(([, value]) => value ?? ""),
    ...withoutScheme,
    ...tokenOf(env["AGENT_ORCHESTRATOR_API_URL"]),
    ...Object.values(env).flatMap((value) => passwordsIn(value ?? "")),
  ]
    .filter((secret) => secret.length >= MIN_LENGTH)
    // Longest first: redacting a part of a longer secret would leave the rest of it readable.
    .sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, "***"), text);
}

/** The gateway's URL is `http://127.0.0.1:<port>/<token>`. */
function tokenOf(url: string | undefined): string[] {
  return url !== undefined && URL.canParse(url) ? new URL(url).pathname.split("/") : [];
}

/** The password of `scheme://user:password@host`, as it is written and decoded. */
export function passwordsIn(url: string): string[] {
  const written = /^[\w+.-]+:\/\/[^/?#]*?:([^/?#]*)@/.exec(url)?.[1] ?? "";
  try {
    return [written, decodeURIComponent(written)].filter(Boolean);
  } catch {
    return [written];
  }
}
