import {
  createMcpHandler,
  hostHeaderValidationResponse,
  isInitializeRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
} from "@modelcontextprotocol/server";
import * as v from "valibot";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Caller, ServeTools } from "../gateway/caller.ts";
import type { Log } from "../log.ts";
import { parseJson, TooDeep } from "../protocol/json.ts";
import type { RunnerHooks } from "./call-context.ts";
import { Cancellations, SESSION_HEADER } from "./cancellations.ts";
import { orchestrationServer } from "./orchestration-server.ts";
import { requestUrl } from "../protocol/request-url.ts";
import { SessionWatch } from "./session-watch.ts";

export interface ToolOptions extends Pick<RunnerHooks, "draining" | "waits"> {
  readonly coordinator: CoordinatorClient;
  readonly log: Log;
}

const Cancelled = v.looseObject({
  method: v.literal("notifications/cancelled"),
  params: v.looseObject({ requestId: v.union([v.string(), v.number()]) }),
});

/**
 * Serves the orchestration tools over the current and earlier revisions of MCP, without state between requests. Gives
 * each client a session id, and accepts any id: a restarted runner knows none of the earlier ids.
 */
export function toolServer({ coordinator, log, draining, waits }: ToolOptions): ServeTools {
  const watch = new SessionWatch({ coordinator, log });
  const hooks: RunnerHooks = { watch, draining, waits, run: (runId) => coordinator.run(runId) };
  const cancellations = new Cancellations();
  return async (request, caller) => {
    const refused =
      hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
      originValidationResponse(request, localhostAllowedOrigins());
    if (refused !== undefined) return refused;
    logForeignParent(request, caller, log);
    const { headers } = request;
    const handler = createMcpHandler(() => orchestrationServer({ caller, hooks, headers, cancellations }));
    if (request.method !== "POST") return handler.fetch(request);
    const text = await request.text();
    const body = parsed(text);
    if (body instanceof TooDeep) return tooDeep(body);
    for (const message of Array.isArray(body) ? (body as unknown[]) : [body]) {
      const cancelled = v.safeParse(Cancelled, message);
      if (cancelled.success) cancellations.cancel(caller, headers, cancelled.output.params.requestId);
    }
    const { method, signal } = request;
    const url = requestUrl(request);
    const response = await handler.fetch(
      new Request(url, { method, headers, body: text, signal }),
      body === undefined ? {} : { parsedBody: body },
    );
    if (isInitializeRequest(body)) response.headers.set(SESSION_HEADER, crypto.randomUUID());
    return response;
  };
}

/** Undefined for a text that is not JSON: the SDK answers it. */
function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    return error instanceof TooDeep ? error : undefined;
  }
}

function tooDeep({ message }: TooDeep): Response {
  const error = { code: -32_600, message: `The message ${message}` };
  return Response.json({ jsonrpc: "2.0", id: null, error }, { status: 422 });
}

/** Logs a header that names another session than the run's. The run's token decides who the parent is. */
function logForeignParent({ headers }: Request, { runId, sessionId }: Caller, log: Log): void {
  const named = headers.get("x-agent-session-id");
  if (runId === null || !named || named === sessionId || named.startsWith("${")) return;
  log.debug("Ignoring X-Agent-Session-Id: it names another session than the run's", {
    run: runId,
    ...(sessionId === null ? {} : { session: sessionId }),
  });
}
