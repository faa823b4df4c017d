import * as v from "valibot";
import { delay } from "../../src/async/delay.ts";
import { clip, describeError } from "../../src/errors.ts";
import { type ClaudeProcess, EndedError } from "./claude-process.ts";
import type { Launch } from "./launch.ts";

/** Why the prompt is not sent. */
export type Obstacle =
  /** The program cannot be started, or does not speak the protocol. */
  | { readonly kind: "start"; readonly reason: string }
  /** Claude Code ignores these settings files whole, with their rules. */
  | { readonly kind: "settings"; readonly faults: readonly string[] }
  /** Required MCP servers that are not connected, each with the reason. */
  | { readonly kind: "mcp"; readonly servers: readonly string[] };

export interface Questions {
  readonly launch: Pick<Launch, "initialize">;
  /** The MCP servers without which the agent does not begin. */
  readonly requiredServers: readonly string[];
  readonly signal: AbortSignal;
}

const SettingsAnswer = v.looseObject({
  errors: v.nullish(
    v.array(v.looseObject({ file: v.nullish(v.string(), ""), path: v.nullish(v.string(), ""), message: v.string() })),
    [],
  ),
});
const ServersAnswer = v.looseObject({
  mcpServers: v.array(v.looseObject({ name: v.string(), status: v.string(), error: v.nullish(v.string(), "") })),
});

const MAX_REASON = 120;
const POLL_MS = 200;
/** Claude Code gives up earlier by itself, unless MCP_TIMEOUT is longer. */
const CONNECT_MS = 90_000;
/** Claude Code is some 400 MB, which a slow disk takes a while to load. */
const START_MS = 180_000;

/**
 * Starts the conversation, and asks Claude Code, before it gets the prompt, whether it obeys all settings files and has
 * connected the required MCP servers. Null: nothing is in the way, or Claude Code ended, which the caller sees by
 * itself.
 */
export async function findObstacle(
  claude: ClaudeProcess,
  { launch, requiredServers, signal }: Questions,
): Promise<Obstacle | null> {
  try {
    await claude.request("initialize", launch.initialize, START_MS);
    const faults = await settingsFaults(claude);
    if (faults.length > 0) return { kind: "settings", faults };
    const servers = await unconnectedServers(claude, requiredServers, signal);
    return servers.length > 0 ? { kind: "mcp", servers } : null;
  } catch (error) {
    return error instanceof EndedError ? null : { kind: "start", reason: describeError(error) };
  }
}

async function settingsFaults(claude: ClaudeProcess): Promise<string[]> {
  const { errors } = await ask(claude, "get_settings", SettingsAnswer);
  return errors.map(({ file, path, message }) => [file, path, message].filter(Boolean).join(": "));
}

async function unconnectedServers(
  claude: ClaudeProcess,
  required: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  if (required.length === 0) return [];
  for (const endMs = performance.now() + CONNECT_MS; ; await delay(POLL_MS, signal)) {
    const { mcpServers } = await ask(claude, "mcp_status", ServersAnswer);
    const seen = new Map(mcpServers.map((server) => [server.name, server]));
    const isPending = required.some((name) => seen.get(name)?.status === "pending");
    if (isPending && performance.now() < endMs && !signal.aborted) continue;
    return required.flatMap((name) => {
      const { status = "unknown", error = "" } = seen.get(name) ?? {};
      // A long reason of one server must not hide the others.
      const reason = clip((error === "" ? status : error).replaceAll(/\s+/g, " ").trim(), MAX_REASON);
      return status === "connected" ? [] : [`${name} (${reason})`];
    });
  }
}

async function ask<T extends v.GenericSchema>(
  claude: ClaudeProcess,
  subtype: string,
  schema: T,
): Promise<v.InferOutput<T>> {
  const parsed = v.safeParse(schema, await claude.request(subtype));
  if (parsed.success) return parsed.output;
  throw new Error(`its answer to ${subtype} has an unknown form`);
}
