import { version } from "../../src/version.ts";
import { SETTING_VARIABLES } from "./settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What a Claude Code, that a runner may be started from, tells its own children: one that it finds here takes itself for such a child. */
const OF_AN_ENCLOSING_CLAUDE = [
  "CLAUDECODE",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_SSE_PORT",
];

/**
 * What Claude Code, its hooks and its stdio MCP servers see: all that the executor was started with, less our own settings. That is what
 * the user's tools need (PATH, HOME, proxies, the provider's credentials), the run's marker, and the gateway's URL and session id, by which
 * hooks and MCP servers of the existing system reach the coordinator. The URL holds the run's token: it opens this run's tree of
 * sessions only, which the agent may use anyway, and ends with the run.
 */
export function environmentForClaude(env: Environment): Record<string, string | undefined> {
  const own = new Set([...SETTING_VARIABLES, ...OF_AN_ENCLOSING_CLAUDE]);
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !own.has(name))),
    CLAUDE_AGENT_SDK_CLIENT_APP: `agent-runner/${version}`,
    // A start that is refused is told as a result with its reason, not on stderr alone.
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
  };
}
