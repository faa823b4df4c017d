import { type CallToolResult, McpServer, type ServerContext } from "@modelcontextprotocol/server";
import { toStandardJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { describeError } from "../errors.ts";
import type { Caller } from "../gateway/caller.ts";
import { version } from "../version.ts";
import { type CallContext, readHeaders, type RunnerHooks } from "./call-context.ts";
import type { Cancellations } from "./cancellations.ts";
import { SessionCalls } from "./session-calls.ts";
import { deleteAll, listBlueprints, listSessions, sessionResult, sessionStatus } from "./session-tools.ts";
import { resumeSession, startSession } from "./start-tools.ts";
import {
  ListArguments,
  NoArguments,
  ResultArguments,
  ResumeArguments,
  StartArguments,
  StatusArguments,
} from "./tool-arguments.ts";
import { ToolError, toolError } from "./tool-result.ts";

const INSTRUCTIONS =
  "Starts other agents, each in its own session, and returns their results. For several independent tasks: " +
  "start each with mode async_callback and end your turn; you are resumed once, with all results. " +
  "For one task whose result you need now: mode sync.";

export interface ServerOptions {
  readonly caller: Caller;
  readonly hooks: RunnerHooks;
  readonly headers: Headers;
  readonly cancellations: Cancellations;
}

/**
 * The MCP server for one request of one agent. The server keeps no state between requests, so the next request may go
 * to another process of this runner.
 */
export function orchestrationServer(options: ServerOptions): McpServer {
  const server = new McpServer({ name: "Agent Orchestrator", version }, { instructions: INSTRUCTIONS });
  const tool = <S extends v.GenericSchema<Record<string, unknown>>>(
    name: string,
    description: string,
    schema: S,
    act: (context: CallContext, args: v.InferOutput<S>) => Promise<CallToolResult>,
  ): void => {
    // Some clients load tools only when a model searches for them; an orchestrator needs these in its first turn.
    const config = { description, inputSchema: toStandardJsonSchema(schema), _meta: { "anthropic/alwaysLoad": true } };
    server.registerTool(name, config, (args, context) =>
      call(options, context, (callContext) => act(callContext, args)),
    );
  };
  tool(
    "list_agent_blueprints",
    "Lists the agents that you can start: name, description, tags and parameters of each.",
    ListArguments,
    (context, args) => listBlueprints(context, args.response_format),
  );
  tool(
    "list_agent_sessions",
    "Lists the sessions started by you and by the agents you started, with their status.",
    ListArguments,
    (context, args) => listSessions(context, args.response_format),
  );
  tool(
    "start_agent_session",
    "Starts an agent with a task in a new session. The mode decides how you get the result.",
    StartArguments,
    startSession,
  );
  tool(
    "resume_agent_session",
    "Continues a session: the agent remembers everything so far and gets another task.",
    ResumeArguments,
    resumeSession,
  );
  tool(
    "get_agent_session_status",
    "Returns the status of a session: pending, running, finished, idle, failed, stopping, stopped, or not_existent.",
    StatusArguments,
    sessionStatus,
  );
  tool("get_agent_session_result", "Returns the result of a finished session.", ResultArguments, (context, args) =>
    sessionResult(context, args.session_id),
  );
  tool(
    "delete_all_agent_sessions",
    "Stops and deletes all sessions that list_agent_sessions lists, with their results.",
    NoArguments,
    (context) => deleteAll(context),
  );
  return server;
}

/** Runs one tool call. Turns every error into a result that the agent can read. */
async function call(
  { caller, hooks, headers, cancellations }: ServerOptions,
  { mcpReq }: ServerContext,
  act: (context: CallContext) => Promise<CallToolResult>,
): Promise<CallToolResult> {
  using cancellation = cancellations.begin(caller, headers, mcpReq.id, mcpReq.signal);
  const token = mcpReq._meta?.progressToken;
  let step = 0;
  const progress = async (message: string): Promise<void> => {
    if (token === undefined) return;
    // Fails when the caller has disconnected; the caller then needs no progress.
    await mcpReq
      .notify({ method: "notifications/progress", params: { progressToken: token, progress: ++step, message } })
      .catch(() => {});
  };
  try {
    return await act({
      caller,
      hooks,
      calls: new SessionCalls(caller),
      headers: readHeaders(headers),
      cancelled: cancellation.signal,
      progress,
    });
  } catch (error) {
    return toolError(error instanceof ToolError ? error.message : `The tool failed: ${describeError(error)}`);
  }
}
