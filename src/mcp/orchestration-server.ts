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
  "Starts other agents, each in a session of its own, and brings their results. Several independent tasks: start each with mode async_callback and end your " +
  "turn; you are resumed once, with all results. One task whose result you need now: mode sync.";

export interface ServerOptions {
  readonly caller: Caller;
  readonly hooks: RunnerHooks;
  readonly headers: Headers;
  readonly cancellations: Cancellations;
}

/** The orchestration tools as one request of one agent sees them. Nothing outlives the request: any start of the runner can answer the next. */
export function orchestrationServer(options: ServerOptions): McpServer {
  const server = new McpServer({ name: "Agent Orchestrator", version }, { instructions: INSTRUCTIONS });
  const tool = <S extends v.GenericSchema<Record<string, unknown>>>(
    name: string,
    description: string,
    schema: S,
    act: (context: CallContext, given: v.InferOutput<S>) => Promise<CallToolResult>,
  ): void => {
    // Clients may leave tools aside until they are searched for; an orchestrator needs these from its first turn on.
    const config = { description, inputSchema: toStandardJsonSchema(schema), _meta: { "anthropic/alwaysLoad": true } };
    server.registerTool(name, config, (given, context) => call(options, context, (own) => act(own, given)));
  };
  tool(
    "list_agent_blueprints",
    "Lists the agents that can be started: name, description, tags and what parameters each takes.",
    ListArguments,
    (context, given) => listBlueprints(context, given.response_format),
  );
  tool(
    "list_agent_sessions",
    "Lists the sessions that you, and the agents you started, have started, with their status.",
    ListArguments,
    (context, given) => listSessions(context, given.response_format),
  );
  tool(
    "start_agent_session",
    "Starts an agent with a task, in a new session. See mode for how you get its result.",
    StartArguments,
    startSession,
  );
  tool(
    "resume_agent_session",
    "Goes on with a session: the agent remembers it all and gets one more task.",
    ResumeArguments,
    resumeSession,
  );
  tool(
    "get_agent_session_status",
    "The status of a session: pending, running, finished, idle, failed, stopping, stopped, or not_existent.",
    StatusArguments,
    sessionStatus,
  );
  tool("get_agent_session_result", "The result of a session that has finished.", ResultArguments, (context, given) =>
    sessionResult(context, given.session_id),
  );
  tool(
    "delete_all_agent_sessions",
    "Stops and deletes all sessions that list_agent_sessions shows, with their results.",
    NoArguments,
    (context) => deleteAll(context),
  );
  return server;
}

/** Whatever goes wrong is a result that the agent can read. */
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
    // A caller that has gone hears nothing, and misses nothing.
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
