import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import * as v from "valibot";
import { describeError } from "../../errors.ts";
import { AgentName, CompleteMcpServers, UpdateAgent } from "../../protocol/agent.ts";
import { parseJson, TooDeep } from "../../protocol/json.ts";
import { shownPath } from "../../shell-word.ts";
import { readRegularFile } from "../../trust/read-regular-file.ts";
import { describeTrustFault, isWithin, trustFault, trustHint } from "../../trust/trust-fault.ts";

/** The agent defined by a folder's files, or why the files are broken. Times are ISO 8601 in UTC. */
export type AgentFile =
  | {
      readonly kind: "good";
      readonly definition: UpdateAgent;
      readonly isActive: boolean;
      readonly createdAt: string;
      readonly modifiedAt: string;
    }
  | { readonly kind: "broken"; readonly fault: string };

/** The files of an agent's folder, named as in the first generation. */
export const AGENT_FILES = {
  agent: "agent.json",
  prompt: "agent.system-prompt.md",
  mcp: "agent.mcp.json",
  /** Its presence makes the agent inactive. */
  disabled: ".disabled",
} as const;

const MAX_BYTES = 4 * 1024 * 1024;

const AgentJson = v.object({
  ...UpdateAgent.entries,
  name: v.nullish(v.string()),
  description: v.string("description is missing"),
});

export interface AgentReading {
  /** No link may lead out of this folder: it would show any file that the coordinator can read. */
  readonly within: string;
  /** Folders that the user vouches for; null: no check of owners and modes. */
  readonly trustedFolders: readonly string[] | null;
}

/** Reads one agent's folder. The folder's name is the agent's name: runs refer to it. */
export function readAgentFile(folder: string, name: string, reading: AgentReading): AgentFile {
  try {
    requireOwnFiles(folder, reading);
    return { kind: "good", ...readFiles(folder, name) };
  } catch (error) {
    return { kind: "broken", fault: describeError(error) };
  }
}

function requireOwnFiles(folder: string, { within, trustedFolders }: AgentReading): void {
  // A missing folder is reported by the file that it lacks.
  if (!existsSync(folder)) return;
  const root = realpathSync(within);
  for (const path of [folder, ...Object.values(AGENT_FILES).map((file) => join(folder, file))]) {
    if (!existsSync(path)) continue;
    if (!isWithin(root, realpathSync(path)))
      throw new Error(`${basename(path)} is a link that leaves ${shownPath(within)}`);
    const fault = trustedFolders === null ? null : trustFault(path, { trustedFolders });
    if (fault !== null) throw new Error(`${describeTrustFault(path, fault)}. ${trustHint(path, fault)}`);
  }
}

function readFiles(folder: string, name: string): Omit<Extract<AgentFile, { kind: "good" }>, "kind"> {
  if (!v.is(AgentName, name))
    throw new Error(
      "the folder's name is not an agent name; use letters, digits, _, . or -, and begin with a letter or digit",
    );
  const agent = parseAs(AgentJson, readJson(join(folder, AGENT_FILES.agent)), AGENT_FILES.agent);
  const { name: given, ...definition } = agent;
  if (given != null && given !== name)
    throw new Error(`${AGENT_FILES.agent}: the name "${given}" differs from the folder's name`);
  const prompt = readIfThere(join(folder, AGENT_FILES.prompt));
  if (prompt !== null && definition.system_prompt != null)
    throw new Error(`both ${AGENT_FILES.agent} and ${AGENT_FILES.prompt} contain a system prompt`);
  const mcp = join(folder, AGENT_FILES.mcp);
  const servers = existsSync(mcp) ? parseAs(CompleteMcpServers, unwrapped(readJson(mcp)), AGENT_FILES.mcp) : null;
  if (servers !== null && definition.mcp_servers != null)
    throw new Error(`both ${AGENT_FILES.agent} and ${AGENT_FILES.mcp} contain MCP servers`);
  const stats = Object.values(AGENT_FILES).flatMap(
    (file) => statSync(join(folder, file), { throwIfNoEntry: false }) ?? [],
  );
  const newest = Math.max(...stats.map((stat) => stat.mtimeMs));
  const oldest = Math.min(...stats.map((stat) => Math.min(stat.birthtimeMs || stat.mtimeMs, stat.mtimeMs)));
  return {
    definition: {
      ...definition,
      ...(prompt === null ? {} : { system_prompt: prompt }),
      ...(servers === null ? {} : { mcp_servers: servers }),
    },
    isActive: !existsSync(join(folder, AGENT_FILES.disabled)),
    createdAt: new Date(oldest).toISOString(),
    modifiedAt: new Date(newest).toISOString(),
  };
}

function readJson(path: string): unknown {
  const text = readBounded(path);
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof TooDeep) throw new Error(`${basename(path)} ${error.message}`, { cause: error });
    throw new Error(`${basename(path)} is not valid JSON: ${describeError(error)}`, { cause: error });
  }
}

/** The file is either the map of servers itself, or wraps the map in `mcpServers` like Claude Code's `.mcp.json`. */
function unwrapped(json: unknown): unknown {
  return typeof json === "object" && json !== null && "mcpServers" in json ? json.mcpServers : json;
}

function readIfThere(path: string): string | null {
  return existsSync(path) ? readBounded(path) : null;
}

function readBounded(path: string): string {
  try {
    return readRegularFile(path, { maxBytes: MAX_BYTES });
  } catch (error) {
    throw new Error(`${basename(path)}: ${describeError(error)}`, { cause: error });
  }
}

function parseAs<S extends v.GenericSchema>(schema: S, value: unknown, file: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  throw new Error(`${file}: ${path === null ? "" : `${path}: `}${issue.message}`);
}
