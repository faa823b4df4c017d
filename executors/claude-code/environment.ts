import { version } from "../../src/version.ts";
import { SETTING_VARIABLES } from "./settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Set if the runner was started from a Claude Code. With these variables Claude Code would run as a child of that one.
 */
const PARENT_CLAUDE_VARIABLES = [
  "CLAUDECODE",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_SSE_PORT",
];

/**
 * The environment of Claude Code, its hooks and its stdio MCP servers: the executor's own, without this executor's
 * settings. It contains what the user's tools need (PATH, HOME, proxies, the provider's credentials) and the run's
 * mark. It also contains the gateway's URL and the session id, with which existing hooks and MCP servers call the
 * coordinator. The URL contains the run's token, which gives access to this run's tree of sessions only and ends with
 * the run.
 */
export function environmentForClaude(env: Environment): Record<string, string | undefined> {
  const removed = new Set([...SETTING_VARIABLES, ...PARENT_CLAUDE_VARIABLES]);
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !removed.has(name))),
    CLAUDE_AGENT_SDK_CLIENT_APP: `agent-runner/${version}`,
    // Reports a failed start as a result with its reason, not only on stderr.
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
  };
}
