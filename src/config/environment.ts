import { homedir } from "node:os";
import { join } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/** The folders of this user: settings, data (own executors) and state (runs, database, locks). */
export interface UserFolders {
  readonly config: string;
  readonly data: string;
  readonly state: string;
}

export function userFolders(env: Environment, platform: NodeJS.Platform = process.platform): UserFolders {
  const home = env["HOME"] || homedir();
  if (platform === "win32") {
    const roaming = env["APPDATA"] || join(home, "AppData", "Roaming");
    const local = env["LOCALAPPDATA"] || join(home, "AppData", "Local");
    return {
      config: join(roaming, "agent-runner"),
      data: join(local, "agent-runner", "data"),
      state: join(local, "agent-runner", "state"),
    };
  }
  return {
    config: join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "agent-runner"),
    data: join(env["XDG_DATA_HOME"] || join(home, ".local", "share"), "agent-runner"),
    state: join(env["XDG_STATE_HOME"] || join(home, ".local", "state"), "agent-runner"),
  };
}

const LOOPBACK = ["127.0.0.1", "localhost", "::1"];

/** NO_PROXY plus the loopback names: fetch would send even those through HTTP_PROXY. */
export function noProxyWithLoopback(env: Environment): string {
  // Merges both spellings, so that neither loses its exceptions.
  const present = [env["NO_PROXY"], env["no_proxy"]]
    .flatMap((names) => (names ?? "").split(","))
    .map((s) => s.trim())
    .filter(Boolean);
  // "*" means every host, and most programs know it only alone.
  return present.includes("*") ? "*" : [...new Set([...present, ...LOOPBACK])].join(",");
}

/** The proxy through which a request to `url` goes, and the variable that names it. Null: directly. */
export function proxyOf(url: string, env: Environment = process.env): { url: string; variable: string } | null {
  const { protocol, hostname, port } = new URL(url);
  const name = protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const variable = [name.toLowerCase(), name].find((candidate) => env[candidate]);
  if (variable === undefined) return null;
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const isExcepted = (env["no_proxy"] || env["NO_PROXY"] || "")
    .split(",")
    .map((entry) => entry.trim().replace(/^\*?\./, ""))
    .some((entry) => entry === "*" || entry === `${host}:${port}` || `.${host}`.endsWith(`.${entry || "?"}`));
  return isExcepted ? null : { url: env[variable] ?? "", variable };
}

/** Makes this process and its children reach loopback addresses without a proxy. fetch reads only the variables. */
export function bypassProxyForLoopback(): void {
  const value = noProxyWithLoopback(process.env);
  process.env["NO_PROXY"] = value;
  process.env["no_proxy"] = value;
}

/**
 * Variables that no executor inherits: the runner's credentials, Bun's control variables, the trace of the runner's own
 * start, and those of its service manager.
 */
const WITHHELD: ReadonlySet<string> = new Set([
  "AGENT_COORDINATOR_TOKEN",
  "AGENT_COORDINATOR_DATABASE",
  "AGENT_RUNNER_MCP_TOKEN",
  "OTEL_EXPORTER_OTLP_HEADERS",
  "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
  "BUN_OPTIONS",
  "BUN_BE_BUN",
  "BUN_INSPECT",
  "BUN_INSPECT_CONNECT_TO",
  "BUN_INSPECT_NOTIFY",
  "BUN_CONFIG_MAX_HTTP_REQUESTS",
  "TRACEPARENT",
  "TRACESTATE",
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
]);

/** Whether no executor inherits the variable. All of `AUTH0_*` may be credentials, also of an earlier runner. */
export function isWithheld(name: string): boolean {
  const upper = process.platform === "win32" ? name.toUpperCase() : name;
  return WITHHELD.has(upper) || upper.startsWith("AUTH0_");
}

/** The environment of an executor: the runner's without the variables that are withheld. */
export function inheritableEnvironment(env: Environment): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !isWithheld(name)) inherited[name] = value;
  }
  return inherited;
}
