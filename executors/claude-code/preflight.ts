import type { Query } from "@anthropic-ai/claude-agent-sdk";
import * as v from "valibot";
import { delay } from "../../src/async/delay.ts";

/** Why the prompt is not sent. */
export type Obstacle =
  /** Claude Code ignores these settings files whole, with their rules. */
  | { readonly kind: "settings"; readonly faults: readonly string[] }
  /** Required MCP servers that are not connected, each with the reason. */
  | { readonly kind: "mcp"; readonly servers: readonly string[] };

const SettingsAnswer = v.looseObject({
  errors: v.nullish(
    v.array(v.looseObject({ file: v.nullish(v.string(), ""), path: v.nullish(v.string(), ""), message: v.string() })),
    [],
  ),
});
const ServerStatus = v.looseObject({ name: v.string(), status: v.string(), error: v.nullish(v.string(), "") });

const POLL_MS = 200;
/** Claude Code gives up earlier by itself, unless MCP_TIMEOUT is longer. */
const CONNECT_MS = 90_000;

/**
 * Asks Claude Code, before it gets the prompt, whether it obeys all settings files and has connected the required MCP
 * servers. Null: nothing is in the way, or Claude Code ended, which the caller sees by itself.
 */
export async function findObstacle(
  running: Query,
  requiredServers: readonly string[],
  signal: AbortSignal,
): Promise<Obstacle | null> {
  try {
    const faults = await settingsFaults(running);
    if (faults.length > 0) return { kind: "settings", faults };
    const servers = await unconnectedServers(running, requiredServers, signal);
    return servers.length > 0 ? { kind: "mcp", servers } : null;
  } catch {
    return null;
  }
}

async function settingsFaults(running: Query): Promise<string[]> {
  // The SDK has this method, but does not declare it yet.
  const { getSettings } = running as { getSettings?: () => Promise<unknown> };
  if (getSettings === undefined) return [];
  const { errors } = v.parse(SettingsAnswer, await getSettings.call(running));
  return errors.map(({ file, path, message }) => [file, path, message].filter(Boolean).join(": "));
}

async function unconnectedServers(running: Query, required: readonly string[], signal: AbortSignal): Promise<string[]> {
  if (required.length === 0) return [];
  for (const endMs = performance.now() + CONNECT_MS; ; await delay(POLL_MS, signal)) {
    const all = v.parse(v.array(ServerStatus), await running.mcpServerStatus());
    const seen = new Map(all.map((server) => [server.name, server]));
    const isPending = required.some((name) => seen.get(name)?.status === "pending");
    if (isPending && performance.now() < endMs && !signal.aborted) continue;
    return required.flatMap((name) => {
      const { status = "unknown", error = "" } = seen.get(name) ?? {};
      return status === "connected" ? [] : [`${name} (${error === "" ? status : error})`];
    });
  }
}
