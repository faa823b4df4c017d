import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

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
  // The XDG specification ignores relative paths. They would name another folder in each working directory.
  const xdg = (name: string, fallback: string): string =>
    join(isAbsolute(env[name] ?? "") ? (env[name] ?? "") : join(home, fallback), "agent-runner");
  return {
    config: xdg("XDG_CONFIG_HOME", ".config"),
    data: xdg("XDG_DATA_HOME", ".local/share"),
    state: xdg("XDG_STATE_HOME", ".local/state"),
  };
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
