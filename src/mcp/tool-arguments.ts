import * as v from "valibot";
import { ExecutionMode } from "../protocol/run.ts";

/*
 * The arguments of the tools in both generations, so that prompts for either work (`docs/protocol.md`, section 16). The
 * agent reads the descriptions.
 */

const described = <S extends v.GenericSchema>(schema: S, text: string) =>
  v.pipe(v.nullish(schema), v.description(text));

const sessionId = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(200),
  v.description("Id of the session, from start_agent_session (ses_...)"),
);

const task = {
  parameters: described(
    v.record(v.string(), v.unknown()),
    'Input of the agent: {"prompt": "the whole task in words"}, ' +
      "or an object that fits the parameters_schema of its blueprint.",
  ),
  prompt: described(v.string(), 'The task in words; short for parameters {"prompt": ...}.'),
  mode: v.optional(
    v.pipe(
      ExecutionMode,
      v.description(
        "sync: waits until the agent has ended and returns its result; can take long, and your client may time out " +
          "first (the agent continues then). async_callback: returns at once; after you have started everything you " +
          "need, end your turn, and you are resumed with the results. " +
          "async_poll: returns at once; check with get_agent_session_status.",
      ),
    ),
    "sync",
  ),
};

const responseFormat = {
  response_format: described(
    v.picklist(["markdown", "json"]),
    "markdown: a list to read; json: an object with total and the list; omitted: a JSON list.",
  ),
};

export const ListArguments = v.object(responseFormat);

export const StartArguments = v.object({
  ...task,
  agent_name: described(
    v.string(),
    "Blueprint of the agent, from list_agent_blueprints; omitted: an agent without a blueprint.",
  ),
  agent_blueprint_name: described(v.string(), "Alias of agent_name."),
  project_dir: described(v.string(), "Working folder of the agent; omitted: the runner's project folder."),
});
export type StartArguments = v.InferOutput<typeof StartArguments>;

export const ResumeArguments = v.object({ session_id: sessionId, ...task });
export type ResumeArguments = v.InferOutput<typeof ResumeArguments>;

export const StatusArguments = v.object({
  session_id: sessionId,
  wait_seconds: v.optional(
    v.pipe(
      v.number(),
      v.minValue(0),
      v.maxValue(300),
      v.description("Maximum time to wait for the session to end, in seconds (0 to 300; 0 does not wait)."),
    ),
    0,
  ),
});
export type StatusArguments = v.InferOutput<typeof StatusArguments>;

export const ResultArguments = v.object({ session_id: sessionId });
export const NoArguments = v.object({});
