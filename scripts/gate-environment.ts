import { join } from "node:path";
import { GATE_MARKER } from "./step-leftovers.ts";

/**
 * The environment for the commands of the gate. Leaves out the user's settings: a test must never reach a coordinator
 * or a provider that is configured on this machine. Puts state, configuration and data under `scratch`, and takes
 * loopback out of any proxy.
 */
export function gateEnvironment(
  scratch: string,
  inherited: Record<string, string | undefined> = process.env,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    if (value !== undefined && !isDropped(name)) env[name] = value;
  }
  for (const kind of ["STATE", "CONFIG", "DATA"]) env[`XDG_${kind}_HOME`] = join(scratch, `xdg-${kind.toLowerCase()}`);
  // Gives both spellings the union: some programs prefer one, some the other.
  const direct = [env.NO_PROXY, env.no_proxy, "127.0.0.1,localhost,::1"].filter(Boolean).join(",");
  return { ...env, [GATE_MARKER]: scratch, NO_PROXY: direct, no_proxy: direct, NO_COLOR: "1" };
}

const DROPPED_PREFIXES = ["AGENT_", "AUTH0_", "RUNNER_", "COORDINATOR_", "CLAUDE", "ANTHROPIC_"];
const DROPPED = new Set([
  "PROJECT_DIR",
  "POLL_TIMEOUT",
  "HEARTBEAT_INTERVAL",
  "ADDITIONAL_DEMANDS",
  // These change Bun and every program compiled with it. FORCE_COLOR changes the counts of `bun test`.
  "BUN_OPTIONS",
  "BUN_BE_BUN",
  "NODE_ENV",
  "FORCE_COLOR",
]);

/** The tests of PostgreSQL use this server in place of one of their own. */
const TEST_DATABASE = "AGENT_RUNNER_TEST_DATABASE";

function isDropped(name: string): boolean {
  if (name === TEST_DATABASE) return false;
  return DROPPED.has(name) || DROPPED_PREFIXES.some((prefix) => name.startsWith(prefix));
}
