import type { CallToolResult } from "@modelcontextprotocol/server";
import { describeError } from "../errors.ts";
import { promptOfParameters } from "../protocol/parameters.ts";
import type { CreatedRun, ExecutionMode } from "../protocol/run.ts";
import type { CallContext } from "./call-context.ts";
import type { RunResult } from "../client/run-result.ts";
import type { ResumeArguments, StartArguments } from "./tool-arguments.ts";
import { ToolError, toolResult } from "./tool-result.ts";
import { untilRunEnded } from "./wait.ts";

const MAX_PARAMETER_CHARACTERS = 100_000;
const MAX_RESULT_CHARACTERS = 50_000;

export async function startSession(context: CallContext, args: StartArguments): Promise<CallToolResult> {
  const agentName = args.agent_name || args.agent_blueprint_name || undefined;
  const parameters = parametersOf(args);
  checkMode(context, args.mode);
  // A Python coordinator ignores an unknown name and starts an agent without a blueprint.
  if (agentName !== undefined && !(await context.calls.hasAgent(agentName)))
    throw await unknownAgent(context, agentName);
  const projectDir = args.project_dir || context.headers.demands?.project_dir;
  return run(context, args.mode, {
    type: "start_session",
    prompt: promptOfParameters(parameters),
    parameters,
    ...(agentName === undefined ? {} : { agent_name: agentName }),
    ...(!projectDir ? {} : { project_dir: projectDir }),
  });
}

export async function resumeSession(context: CallContext, args: ResumeArguments): Promise<CallToolResult> {
  const { session_id, mode } = args;
  const parameters = parametersOf(args);
  checkMode(context, mode);
  if (session_id === context.caller.sessionId && mode !== "async_poll") {
    throw new ToolError(
      `${session_id} is your own session: it cannot wait for itself. ` +
        "Use mode async_poll to have it resumed after this turn.",
    );
  }
  if ((await context.calls.status(session_id)) === "not_existent")
    throw new ToolError(`Session ${session_id} does not exist. list_agent_sessions lists your sessions.`);
  return run(context, mode, { type: "resume_session", session_id, prompt: promptOfParameters(parameters), parameters });
}

function parametersOf({ parameters, prompt }: Pick<StartArguments, "parameters" | "prompt">): Record<string, unknown> {
  const all = prompt == null ? { ...parameters } : { ...parameters, prompt };
  if (Object.keys(all).length === 0 || all["prompt"] === "")
    throw new ToolError('The task is missing: give parameters {"prompt": "the whole task in words"}.');
  const { length } = JSON.stringify(all);
  if (length > MAX_PARAMETER_CHARACTERS) {
    throw new ToolError(
      `The parameters have ${length} characters; the maximum is ${MAX_PARAMETER_CHARACTERS}. ` +
        "Put long material into a file and pass its path.",
    );
  }
  return all;
}

function checkMode({ caller }: CallContext, mode: ExecutionMode): void {
  if (mode !== "async_callback" || caller.sessionId !== null) return;
  throw new ToolError(
    "async_callback resumes your session, but your requests name no session. " +
      "Send the header X-Agent-Session-Id, or use mode sync or async_poll.",
  );
}

async function unknownAgent({ calls, headers }: CallContext, name: string): Promise<ToolError> {
  const names = (await calls.agents(headers.tags)).map((agent) => agent.name);
  return new ToolError(
    `Unknown agent blueprint ${name}. Available: ${names.length === 0 ? "none; omit agent_name" : names.join(", ")}.`,
  );
}

async function run(context: CallContext, mode: ExecutionMode, body: object): Promise<CallToolResult> {
  const { demands } = context.headers;
  const created = await context.calls.createRun({
    ...body,
    execution_mode: mode,
    ...(demands === null ? {} : { additional_demands: demands }),
  });
  return mode === "sync" ? waitFor(context, created) : handle(context, created, mode);
}

function handle({ caller }: CallContext, { session_id, run_id }: CreatedRun, mode: ExecutionMode): CallToolResult {
  const isCallback = mode === "async_callback";
  const message = isCallback
    ? "Started. After you have started everything you need, end your turn: " +
      "you are resumed with the results once all sessions have ended."
    : "Started. Wait for its end with get_agent_session_status and wait_seconds, " +
      "then read its result with get_agent_session_result.";
  return toolResult({
    session_id,
    status: "pending",
    run_id,
    mode,
    message,
    ...(isCallback ? { callback_to: caller.sessionId } : {}),
  });
}

async function waitFor(context: CallContext, { run_id, session_id }: CreatedRun): Promise<CallToolResult> {
  const waited = await untilRunEnded(context, run_id, session_id).catch((error: unknown) => {
    throw new ToolError(`Session ${session_id} was started, but its progress cannot be read: ${describeError(error)}`);
  });
  if (waited.kind !== "done") return notWaitedFor(session_id, run_id, waited.kind);
  const { status, error } = waited.value;
  if (status === "failed") {
    throw new ToolError(
      `Session ${session_id} failed: ${error ?? "no reason given"}. ` +
        "Retry it with resume_agent_session, or start another session.",
    );
  }
  if (status === "stopped")
    throw new ToolError(`Session ${session_id} was stopped on request before it finished. It has no result.`);
  const result = await context.calls.runResult({ run_id, session_id });
  if (typeof result === "string")
    return toolResult({
      session_id,
      result_text: null,
      result_data: null,
      message: `Completed without a result: ${result}`,
    });
  return toolResult({ session_id, ...truncated(result) });
}

function notWaitedFor(session_id: string, run_id: string, why: "draining" | "cancelled"): CallToolResult {
  const reason =
    why === "draining"
      ? "The runner is shutting down and claims no more runs, so this call stops waiting. " +
        "The session continues, or begins once a runner claims it."
      : "The call was cancelled; the session continues.";
  const message = `${reason} Check it later with get_agent_session_status and get_agent_session_result.`;
  return toolResult({ session_id, status: "pending", run_id, result_text: null, result_data: null, message });
}

export function truncated(result: RunResult): RunResult {
  const { result_text: text } = result;
  if (text === null || text.length <= MAX_RESULT_CHARACTERS) return result;
  return {
    ...result,
    result_text: `${text.slice(0, MAX_RESULT_CHARACTERS)}\n\n[Result truncated at ${MAX_RESULT_CHARACTERS} characters]`,
  };
}
