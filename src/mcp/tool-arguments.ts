import * as v from "valibot";
import { ExecutionMode } from "../protocol/run.ts";

/*
 * The arguments of the tools: those of the second generation, and beside them those that only the first has, so that prompts written for
 * either work (protocol, section 16). The descriptions are what an agent knows of them.
 */

const described = <S extends v.GenericSchema>(schema: S, text: string) =>
  v.pipe(v.nullish(schema), v.description(text));

const sessionId = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(200),
  v.description("Id of the session, as start_agent_session gave it (ses_...)"),
);

const task = {
  parameters: described(
    v.record(v.string(), v.unknown()),
    'What the agent gets. {"prompt": "the whole task in words"} unless its blueprint has a parameters_schema: then what that asks for.',
  ),
  prompt: described(v.string(), 'The task in words; short for parameters {"prompt": ...}.'),
  mode: v.optional(
    v.pipe(
      ExecutionMode,
      v.description(
        "sync: waits until the agent has ended and returns its result; can take long, and your client may give up the call before (the agent goes on then). " +
          "async_callback: returns at once; end your turn when you have started all you need, and you are resumed with the results. " +
          "async_poll: returns at once; ask with get_agent_session_status.",
      ),
    ),
    "sync",
  ),
};

const responseFormat = {
  response_format: described(
    v.picklist(["markdown", "json"]),
    "markdown for a list to read, json for an object with total and the list; left out: a JSON list.",
  ),
};

export const ListArguments = v.object(responseFormat);

export const StartArguments = v.object({
  ...task,
  agent_name: described(
    v.string(),
    "Blueprint of the agent, from list_agent_blueprints; left out: an agent without a blueprint.",
  ),
  agent_blueprint_name: described(v.string(), "The same as agent_name."),
  project_dir: described(v.string(), "Folder that the agent works in; left out: the runner's own."),
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
      v.description("Wait so long, at most, for the session to end (0 to 300; 0 does not wait)."),
    ),
    0,
  ),
});
export type StatusArguments = v.InferOutput<typeof StatusArguments>;

export const ResultArguments = v.object({ session_id: sessionId });
export const NoArguments = v.object({});
