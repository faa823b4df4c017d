import * as v from "valibot";
import { Blueprint } from "../../protocol/agent.ts";
import { mapStrings } from "../../protocol/map-strings.ts";
import { parametersOf, type RunRow, wireRun } from "../store/run-row.ts";

/**
 * A run as a runner of the second generation reads it: with all fields of the first, too (`docs/protocol.md`, sections
 * 3, 7 and 8). Such a runner fetches no blueprint.
 */
export function runForSecond(run: RunRow, blueprint: unknown): Record<string, unknown> {
  return {
    ...wireRun(run),
    parameters: parametersOf(run),
    scope: null,
    resolved_agent_blueprint: blueprint === null ? null : resolved(v.parse(Blueprint, blueprint), run),
  };
}

/**
 * Fills in what the coordinator knows. The runner fills in its MCP URL, which has another placeholder in each
 * generation. `${env.X}` stays: no agent reads this process's environment.
 */
function resolved(blueprint: Blueprint, run: RunRow): Blueprint {
  const parameters = parametersOf(run);
  const fill = (text: string): string =>
    text
      .replaceAll("${runtime.session_id}", () => run.session_id)
      .replaceAll("${runtime.run_id}", () => run.run_id)
      .replaceAll(/\$\{params\.([\w-]+)\}/g, (whole, name: string) => {
        const value = parameters[name];
        return value === undefined ? whole : typeof value === "string" ? value : JSON.stringify(value);
      });
  const filled = mapStrings(blueprint, fill) as Blueprint;
  if (filled.mcp_servers == null) return filled;
  const ofFirst = (text: string): string =>
    text
      .replaceAll("${AGENT_SESSION_ID}", () => run.session_id)
      .replaceAll("${AGENT_ORCHESTRATOR_MCP_URL}", () => "${runner.orchestrator_mcp_url}");
  const servers = Object.entries(mapStrings(filled.mcp_servers, ofFirst) as NonNullable<Blueprint["mcp_servers"]>).map(
    // The second generation has the headers in `config`.
    ([name, server]) => [name, server.headers == null ? server : { config: server.headers, ...server }] as const,
  );
  return { ...filled, mcp_servers: Object.fromEntries(servers) };
}
