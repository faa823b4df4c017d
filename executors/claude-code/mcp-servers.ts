import * as v from "valibot";
import { clip } from "../../src/errors.ts";
import { passwordsIn, SECRET_NAME } from "./secrets.ts";
import { type Blueprint, ServerConfig } from "../../src/protocol/agent.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type Texts = Readonly<Record<string, string>>;
interface SharedConfig {
  /** In ms, for one tool call. */
  readonly timeout?: number;
  /** Whether the tools are loaded in the first turn. */
  readonly alwaysLoad: boolean;
}
/** An MCP server in Claude Code's form. */
export type ClaudeServer = SharedConfig &
  (
    | { readonly type: "http" | "sse"; readonly url: string; readonly headers: Texts }
    | { readonly type: "stdio"; readonly command: string; readonly args: readonly string[]; readonly env: Texts }
  );

const Texts = v.nullish(v.record(v.string(), v.string()));
const shared = { timeout: v.nullish(v.number()), alwaysLoad: v.nullish(v.boolean()) };
const Remote = v.object({
  type: v.nullish(v.picklist(["http", "sse"])),
  url: v.string(),
  headers: Texts,
  config: ServerConfig,
  ...shared,
});
const Stdio = v.object({
  type: v.nullish(v.literal("stdio")),
  command: v.string(),
  args: v.nullish(v.array(v.string())),
  env: Texts,
  ...shared,
});

/**
 * Converts a blueprint's MCP servers to Claude Code's form. Accepts the forms of both generations: Claude's own, and
 * `{url, config}`, where `config` contains headers. Replaces `${NAME}` in headers and env with the variable of that
 * name, if set (`docs/protocol.md`, section 8). Loads the tools in the first turn unless the blueprint has
 * `alwaysLoad: false`: the blueprint names servers that the agent needs. Throws an Error for a server of neither form.
 */
export function mcpServersOf(servers: Blueprint["mcp_servers"], env: Environment): Record<string, ClaudeServer> {
  return Object.fromEntries(Object.entries(servers ?? {}).map(([name, server]) => [name, serverOf(name, server, env)]));
}

function serverOf(name: string, server: unknown, env: Environment): ClaudeServer {
  const remote = v.safeParse(Remote, server);
  if (remote.success) {
    const { type, url, headers, config, timeout, alwaysLoad } = remote.output;
    return {
      type: type ?? "http",
      url,
      headers: filled({ ...config, ...headers }, env),
      ...sharedOf(timeout, alwaysLoad),
    };
  }
  const stdio = v.safeParse(Stdio, server);
  if (stdio.success) {
    const { command, args, env: variables, timeout, alwaysLoad } = stdio.output;
    return {
      type: "stdio",
      command,
      args: args ?? [],
      env: filled(variables ?? {}, env),
      ...sharedOf(timeout, alwaysLoad),
    };
  }
  const isRemote = typeof server === "object" && server !== null && "url" in server && server.url !== null;
  const [issue] = isRemote ? remote.issues : stdio.issues;
  throw new Error(
    `the blueprint's MCP server ${name} is invalid: ${v.getDotPath(issue) ?? "server"}: ${clip(issue.message)}; ` +
      "a server needs a url or a command",
  );
}

function sharedOf(timeout: number | null | undefined, alwaysLoad: boolean | null | undefined): SharedConfig {
  return { alwaysLoad: alwaysLoad ?? true, ...(timeout == null ? {} : { timeout }) };
}

function filled(texts: Readonly<Record<string, string>>, env: Environment): Record<string, string> {
  const fill = (text: string): string => text.replace(/\$\{(\w+)\}/g, (whole, name: string) => env[name] ?? whole);
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, fill(text)]));
}

/** The names of the servers without which the agent must not begin: all but those with `optional: true`. */
export function requiredServersOf(servers: Blueprint["mcp_servers"]): string[] {
  return Object.entries(servers ?? {})
    .filter(([, server]) => !v.is(v.looseObject({ optional: v.literal(true) }), server))
    .map(([name]) => name);
}

/** The values of headers and env, and secrets in URLs, which no event or message may contain. */
export function credentialsIn(servers: Readonly<Record<string, ClaudeServer>>): string[] {
  return Object.values(servers).flatMap((server) =>
    server.type === "stdio" ? Object.values(server.env) : [...Object.values(server.headers), ...secretsIn(server.url)],
  );
}

/** The password of a URL, and the values of its query that have a secret's name, also as they are written. */
function secretsIn(url: string): string[] {
  const query = /\?([^#]*)/.exec(url)?.[1] ?? "";
  const named = query.split("&").filter((pair) => SECRET_NAME.test(pair.split("=", 1)[0] ?? ""));
  const values = named.map((pair) => pair.slice(pair.indexOf("=") + 1));
  return [...passwordsIn(url), ...values, ...new URLSearchParams(named.join("&")).values()];
}
