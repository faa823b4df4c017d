import { CoordinatorFailure } from "../client/failure.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { loadConfig } from "../config/load-config.ts";
import { ExitCode } from "../errors.ts";
import type { StopAnswer } from "../protocol/run.ts";
import { flagArg, textArg } from "./command-line/arguments.ts";
import type { Command } from "./command-line/command.ts";
import { connect } from "./wiring/connect.ts";
import { unreachableNote } from "./wiring/silent-runner.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./command-line/options.ts";

export const stopCommand: Command = {
  name: "stop",
  description: "Stops a run, or all open runs of a session.",
  args: {
    id: { type: "positional", required: true, description: "Id of a run (run_...) or of a session (ses_...)" },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  notes: [
    "The executor gets SIGTERM, and SIGKILL after 5 s. Returns before the run has ended.",
    "The run of a runner that cannot be reached stays stopping until the runner answers or is given up.",
  ],
  examples: [
    ["agent-runner stop run_0123456789ab", "Stop a run"],
    ["agent-runner stop ses_0123456789ab", "Stop all open runs of a session"],
  ],
  async run(args, context) {
    const id = textArg(args, "id") ?? "";
    const { client, ask } = connect(loadConfig(args, context.env), context);
    const answer = await ask(stopEither(client, id));
    context.print(flagArg(args, "json") ? JSON.stringify(answer) : `${id}: ${answer.status ?? "stopping"}`);
    const note = answer.status === "stopping" ? await unreachableNote(client, answer.run_id ?? id) : null;
    if (note !== null) context.note(note);
    return ExitCode.ok;
  },
};

/** Tries the kind that the prefix suggests, then the other: a client can choose any session id. */
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
