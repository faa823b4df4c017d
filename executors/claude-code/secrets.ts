type Environment = Readonly<Record<string, string | undefined>>;

const SECRET_NAME = /TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|KEY$/i;
/** A shorter value is found in texts that have nothing to do with it. */
const SHORTEST = 8;

/**
 * Takes secrets out of texts that people other than the agent read: values of variables whose names say so, the token in the gateway's URL,
 * and what the MCP servers' headers and environments hold.
 */
export function redactor(env: Environment, headers: readonly string[]): (text: string) => string {
  const named = Object.entries(env).filter(([name]) => SECRET_NAME.test(name));
  const inHeaders = headers.flatMap((value) => [value, value.replace(/^(?:Bearer|Basic)\s+/i, "")]);
  const secrets = [
    ...named.map(([, value]) => value ?? ""),
    ...inHeaders,
    ...tokenOf(env["AGENT_ORCHESTRATOR_API_URL"]),
  ]
    .filter((secret) => secret.length >= SHORTEST)
    // A secret that is part of another must not leave the rest of that one behind.
    .sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, "***"), text);
}

/** The gateway's URL is `http://127.0.0.1:<port>/<token>`. */
function tokenOf(url: string | undefined): string[] {
  return url !== undefined && URL.canParse(url) ? new URL(url).pathname.split("/") : [];
}
