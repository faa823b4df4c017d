import type { Config } from "../config/load-config.ts";
import type { Caller, ServeTools } from "../gateway/caller.ts";
import type { Log } from "../log.ts";
import type { ToolOptions } from "../mcp/serve-tools.ts";

/** The orchestration tools. Loads them at the first call of an agent: most processes never need them. */
export function orchestrationTools(options: ToolOptions): ServeTools {
  let loaded: Promise<ServeTools> | undefined;
  return async (request, caller) => {
    loaded ??= import("../mcp/serve-tools.ts").then(({ toolServer }) => toolServer(options));
    return (await loaded)(request, caller);
  };
}

/** Listens for agents outside of runs; null without a configured port. Throws a UserError if it cannot listen. */
export async function listenForOutsiders(
  config: Config,
  serveTools: ServeTools,
  callerOf: (sessionId: string | null) => Caller,
  log: Log,
): Promise<AsyncDisposable | null> {
  if (config.mcpPort === undefined) return null;
  const [{ listenOutside }, { outsideToken }] = await Promise.all([
    import("../mcp/outside-listener.ts"),
    import("../mcp/outside-token.ts"),
  ]);
  const token = outsideToken(config.mcpToken, config.stateDir);
  const listener = listenOutside({ port: config.mcpPort, token: token.value, serveTools, callerOf });
  log.info(`Orchestration tools for agents outside of runs: ${listener.url} (bearer token: ${token.source})`);
  return listener;
}
