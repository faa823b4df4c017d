import * as v from "valibot";
import { type Blueprint, ServerConfig } from "../../protocol/agent.ts";
import { mapStrings } from "../../protocol/map-strings.ts";
import type { AssignedRun } from "../../protocol/poll.ts";

/** The values of a blueprint's placeholders in one run. */
export interface PlaceholderValues {
  readonly sessionId: string;
  readonly mcpUrl: string;
}

/**
 * Replaces the placeholders of a blueprint (`docs/protocol.md`, section 8): `${AGENT_SESSION_ID}` and
 * `${AGENT_ORCHESTRATOR_MCP_URL}` of the first generation in the fields of MCP servers only,
 * `${runner.orchestrator_mcp_url}` of the second in every string. Unknown placeholders stay as they are.
 */
export function resolvePlaceholders(blueprint: Blueprint, values: PlaceholderValues): Blueprint {
  const everywhere = (text: string): string => text.replaceAll("${runner.orchestrator_mcp_url}", () => values.mcpUrl);
  const inServers = (text: string): string =>
    text
      .replaceAll("${AGENT_SESSION_ID}", () => values.sessionId)
      .replaceAll("${AGENT_ORCHESTRATOR_MCP_URL}", () => values.mcpUrl);
  const resolved = mapStrings(blueprint, everywhere) as Blueprint;
  if (resolved.mcp_servers == null) return resolved;
  const servers = Object.entries(resolved.mcp_servers).map(([name, server]) => {
    const fields = Object.entries(server).map(([field, value]) => [
      field,
      ["url", "headers", "args", "env", "config"].includes(field) ? mapStrings(value, inServers) : value,
    ]);
    return [name, Object.fromEntries(fields)] as const;
  });
  return { ...resolved, mcp_servers: Object.fromEntries(servers) };
}

/**
 * The stdin of the executor (`docs/protocol.md`, section 7). The version belongs to the executor, which refuses any
 * other. Both versions have the fields of both: 2.0 requires `prompt`, 2.2 `parameters`. `project_dir` is sent on a
 * start only. `executor_config` is absent if the settings have none.
 */
export function invocationOf(
  run: AssignedRun,
  options: {
    schema: "2.0" | "2.2";
    projectDir: string;
    agentName: string | null;
    executorConfig: Readonly<Record<string, unknown>>;
    blueprint: Blueprint | null;
  },
): string {
  const isStart = run.type === "start_session";
  const invocation = {
    schema_version: options.schema,
    mode: isStart ? "start" : "resume",
    session_id: run.sessionId,
    prompt: run.prompt,
    parameters: run.parameters,
    ...(isStart ? { project_dir: options.projectDir } : {}),
    ...(options.agentName === null ? {} : { agent_name: options.agentName }),
    ...(Object.keys(options.executorConfig).length === 0 ? {} : { executor_config: options.executorConfig }),
    ...(options.blueprint === null ? {} : { agent_blueprint: withBothForms(options.blueprint) }),
  };
  return JSON.stringify(invocation);
}

/**
 * Gives each MCP server with a URL the fields of both generations. The executors of the first read `type` and
 * `headers`, those of the second read the headers from `config`.
 */
function withBothForms(blueprint: Blueprint): Blueprint {
  if (blueprint.mcp_servers == null) return blueprint;
  const servers = Object.entries(blueprint.mcp_servers).map(([name, server]) => {
    const config = v.safeParse(ServerConfig, server["config"]);
    if (server.url == null || !config.success) return [name, server] as const;
    const headers = server.headers ?? config.output;
    if (headers == null) return [name, server] as const;
    return [name, { type: "http", config: headers, ...server, headers }] as const;
  });
  return { ...blueprint, mcp_servers: Object.fromEntries(servers) };
}
