import * as v from "valibot";
import type { CoordinatorClient, McpServerEntry } from "../../client/coordinator-client.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import type { Blueprint } from "../../protocol/agent.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import { mapStrings } from "../../protocol/map-strings.ts";

/*
 * A coordinator of the second generation resolves the blueprint when a run is created, and sends the result only with
 * the answer to a poll. A run that was read in another way has none, so the runner does that work (`docs/protocol.md`,
 * section 8).
 */

type Parameters = Readonly<Record<string, unknown>>;

/** What resolving a blueprint needs. */
export interface BlueprintSources {
  readonly blueprint: Blueprint;
  /** The entries of the registry of MCP servers, by id. */
  readonly servers: ReadonlyMap<string, McpServerEntry>;
  /** The parameters with which the session began, for a resume: its own are a prompt only. Null if unknown. */
  readonly startParameters: Parameters | null;
}

export interface ResolvedBlueprint {
  readonly blueprint: Blueprint;
  /** The placeholders that are left because the runner cannot know their values. */
  readonly unknown: readonly string[];
}

const Reference = v.looseObject({ ref: v.string(), config: v.nullish(v.record(v.string(), v.unknown()), {}) });
const PARAMETER = "${params.";
const PLACEHOLDER = /\$\{(params|runtime|scope|env)\.([^}]+)\}/g;

/** Reads an agent, and what its blueprint refers to. Rejects with a CoordinatorFailure. */
export async function readAgent(
  coordinator: CoordinatorClient,
  agentName: string,
  run: AssignedRun,
): Promise<BlueprintSources> {
  const blueprint = await coordinator.agent(agentName);
  const servers = new Map<string, McpServerEntry>();
  for (const server of Object.values(blueprint.mcp_servers ?? {})) {
    const { success, output } = v.safeParse(Reference, server);
    if (success && !servers.has(output.ref)) servers.set(output.ref, await readServer(coordinator, output.ref));
  }
  return withStartParameters(coordinator, { blueprint, servers }, run);
}

/** Reads the parameters with which the session of a resume began, if the blueprint needs any. */
export async function withStartParameters(
  coordinator: CoordinatorClient,
  sources: Omit<BlueprintSources, "startParameters">,
  run: AssignedRun,
): Promise<BlueprintSources> {
  const text = JSON.stringify([sources.blueprint, ...sources.servers.values()]);
  if (run.type === "start_session" || !text.includes(PARAMETER)) return { ...sources, startParameters: null };
  const runs = await coordinator.runs();
  const start = runs.find(({ session_id, type }) => session_id === run.sessionId && type === "start_session");
  const parsed = v.safeParse(v.record(v.string(), v.unknown()), start?.["parameters"]);
  return { ...sources, startParameters: parsed.success ? parsed.output : null };
}

async function readServer(coordinator: CoordinatorClient, id: string): Promise<McpServerEntry> {
  try {
    return await coordinator.mcpServer(id);
  } catch (error) {
    if (!(error instanceof CoordinatorFailure) || error.status !== 404) throw error;
    throw new CoordinatorFailure("refused", `the coordinator's registry has no MCP server ${id}`);
  }
}

/**
 * Does what the coordinator does: puts the entries of the registry in place of references, and values in place of
 * placeholders. Unknown are the run's scope, the coordinator's environment, and the parameters of a session whose first
 * run is gone. A parameter that the session does not have leaves its placeholder, as at the coordinator.
 */
export function resolveBlueprint(sources: BlueprintSources, run: AssignedRun): ResolvedBlueprint {
  const { blueprint, servers, startParameters } = sources;
  const known = run.type === "start_session" ? {} : startParameters;
  const parameters = known === null ? null : { ...known, ...run.parameters };
  const unknown = new Set<string>();
  const valueOf = (whole: string, source: string, name: string): string => {
    if (source === "runtime") return name === "run_id" ? run.runId : name === "session_id" ? run.sessionId : whole;
    if (source === "params" && parameters !== null) return textOf(parameters, name) ?? whole;
    unknown.add(whole);
    return whole;
  };
  const whole = { ...blueprint, ...serversOf(blueprint, servers) };
  const resolved = mapStrings(whole, (text) => text.replace(PLACEHOLDER, valueOf)) as Blueprint;
  return { blueprint: resolved, unknown: [...unknown] };
}

function serversOf(blueprint: Blueprint, entries: BlueprintSources["servers"]): Pick<Blueprint, "mcp_servers"> {
  if (blueprint.mcp_servers == null) return {};
  const resolved = Object.entries(blueprint.mcp_servers).map(([name, server]) => {
    const { success, output } = v.safeParse(Reference, server);
    const entry = success ? entries.get(output.ref) : undefined;
    if (!success || entry === undefined) return [name, server] as const;
    return [name, { url: entry.url, config: { ...entry.default_config, ...output.config } }] as const;
  });
  return { mcp_servers: Object.fromEntries(resolved) };
}

/** As Python writes it; undefined for a missing value. */
function textOf(parameters: Parameters, name: string): string | undefined {
  const value = Object.hasOwn(parameters, name) ? parameters[name] : null;
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}
