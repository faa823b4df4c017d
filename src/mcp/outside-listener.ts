import * as v from "valibot";
import { describeError, errorCode, UserError } from "../errors.ts";
import type { Caller, ServeTools } from "../gateway/caller.ts";
import { bearerTokenOf, isToken } from "../protocol/access/bearer-token.ts";
import { requestUrl } from "../protocol/request-url.ts";
import { SessionId } from "../protocol/identifiers.ts";

export interface OutsideOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly token: string;
  readonly serveTools: ServeTools;
  readonly callerOf: (sessionId: string | null) => Caller;
}

export interface OutsideListener extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves the orchestration tools to agents outside of all runs: on 127.0.0.1 at `/mcp`, with a token. An agent may name
 * its session in `X-Agent-Session-Id`. That session becomes the parent of the sessions that the agent starts, and
 * limits the agent to its tree.
 */
export function listenOutside(options: OutsideOptions): OutsideListener {
  const server = serve(options);
  return { url: `http://127.0.0.1:${server.port}/mcp`, [Symbol.asyncDispose]: () => server.stop(true) };
}

function serve({ port, token, serveTools, callerOf }: OutsideOptions): Bun.Server<undefined> {
  const fetch = async (request: Request): Promise<Response> => {
    if (!isToken(bearerTokenOf(request), token)) {
      const headers = { "www-authenticate": "Bearer" };
      return Response.json(
        { detail: "A bearer token is required; the runner's log says where to find the token" },
        { status: 401, headers },
      );
    }
    if (requestUrl(request).pathname !== "/mcp")
      return Response.json({ detail: "Not found: the only path is /mcp" }, { status: 404 });
    const named = request.headers.get("x-agent-session-id");
    // An MCP client that does not fill placeholders sends `${AGENT_SESSION_ID}` itself.
    if (!named || named.startsWith("${")) return serveTools(request, callerOf(null));
    if (!v.is(SessionId, named))
      return Response.json({ detail: "X-Agent-Session-Id is not a valid session id" }, { status: 400 });
    return serveTools(request, callerOf(named));
  };
  const error = (thrown: unknown): Response => Response.json({ detail: describeError(thrown) }, { status: 500 });
  try {
    return Bun.serve({ hostname: "127.0.0.1", port, idleTimeout: 0, fetch, error });
  } catch (thrown) {
    const why =
      errorCode(thrown) === "EADDRINUSE"
        ? "is in use by another program"
        : `cannot be listened on: ${describeError(thrown)}`;
    throw new UserError(`Port ${port} (--mcp-port) ${why}`, {
      hint: "Choose another port, or 0 for any free port",
      cause: thrown,
    });
  }
}
