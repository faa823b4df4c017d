import { CoordinatorFailure } from "../client/failure.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { loadConfig } from "../config/load-config.ts";
import { ExitCode } from "../errors.ts";
import type { StopAnswer } from "../protocol/run.ts";
import { type Command, textArg } from "./command-line/command.ts";
import { asking, connect } from "./wiring/connect.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./command-line/options.ts";

export const stopCommand: Command = {
  name: "stop",
  description: "Stops a run, or what runs in a session. Its executor gets SIGTERM and, 5 s later, SIGKILL.",
  args: {
    id: { type: "positional", required: true, description: "Id of a run (run_...) or of a session (ses_...)" },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  examples: [
    ["agent-runner stop run_0123456789ab", "stop a run"],
    ["agent-runner stop ses_0123456789ab", "stop what runs in a session"],
  ],
  async run(args, context) {
    const id = textArg(args, "id") ?? "";
    const client = connect(loadConfig(args, context.env));
    const answer = await asking(client, stopEither(client, id));
    context.print(args["json"] === true ? JSON.stringify(answer) : `${id}: ${answer.status ?? "stopping"}`);
    return ExitCode.ok;
  },
};

/** Session ids are free, so the prefix is a hint only: what is not the one may be the other. */
async function stopEither(client: CoordinatorClient, id: string): Promise<StopAnswer> {
  const [first, second] = id.startsWith("run_")
    ? [() => client.stopRun(id), () => client.stopSession(id)]
    : [() => client.stopSession(id), () => client.stopRun(id)];
  try {
    return await first();
  } catch (error) {
    if (!(error instanceof CoordinatorFailure) || error.status !== 404) throw error;
    return second();
  }
}
