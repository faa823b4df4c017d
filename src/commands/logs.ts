import { CoordinatorFailure } from "../client/failure.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { loadConfig } from "../config/load-config.ts";
import { wholeNumber } from "../config/values.ts";
import { ExitCode, UserError } from "../errors.ts";
import type { Run } from "../protocol/run.ts";
import { flagArg, oneOf, parsedArg, textArg } from "./command-line/arguments.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { connect } from "./wiring/connect.ts";
import { describeDropped, describeEnding } from "./wiring/describe-ending.ts";
import { exitCodeOfRun } from "./follow/follow-run.ts";
import { LogWriter, type Stream } from "./follow/log-writer.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./command-line/options.ts";
import { RunLog } from "./follow/run-log.ts";

const STREAMS: readonly Stream[] = ["events", "stdout", "stderr"];

export const logsCommand: Command = {
  name: "logs",
  description: "Shows the output of a run and the events of its session.",
  args: {
    id: {
      type: "positional",
      required: true,
      description: "Id of a run (run_...), or of a session (ses_...) for its last run",
    },
    follow: { type: "boolean", alias: "f", description: "Follow until the run has ended" },
    stream: { type: "string", valueHint: "all|stdout|stderr|events", description: "Show this only (default all)" },
    tail: {
      type: "string",
      valueHint: "N",
      description: "Start at the last N lines and events (default: at the first)",
    },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  notes: [
    "The output is on the runner's machine; the coordinator asks the runner for it.",
    "The exit code is 4 if the runner does not answer.",
    "With --follow the exit code is that of the run. An outage of the coordinator is waited out.",
    "A single stream is printed as it was written, without a mark before each line.",
    'A line over 1 MiB comes in pieces. With --json, all pieces but the last have "continues": true.',
  ],
  examples: [
    ["agent-runner logs run_0123456789ab", "Show all output and events so far"],
    ["agent-runner logs -f ses_0123456789ab", "Follow the last run of a session until it has ended"],
    ["agent-runner logs --stream stdout run_0123456789ab > result.txt", "Save one stream as it was written"],
    ["agent-runner logs --tail 20 --json run_0123456789ab", "The last 20 lines, one JSON object per line"],
  ],
  async run(args, context) {
    const stream = oneOf("--stream", textArg(args, "stream") ?? "all", ["all", ...STREAMS]);
    const streams = stream === "all" ? STREAMS : [stream];
    const tail = parsedArg(args, "tail", wholeNumber(0)) ?? null;
    const config = loadConfig(args, context.env);
    const { client, ask } = connect(config, context);
    const run = await ask(findRun(client, textArg(args, "id") ?? ""));
    const writer = new LogWriter(context, { isJson: flagArg(args, "json"), isMarked: streams.length > 1, tail });
    const log = new RunLog({ client, config, streams, writer, context });
    if (!flagArg(args, "follow")) {
      await ask(log.show(run));
      noteLosses(run, context);
      return log.isAway ? ExitCode.unreachable : ExitCode.ok;
    }
    const ended = await ask(log.follow(run));
    if (ended !== null) noteLosses(ended, context);
    if (log.isAway) return ExitCode.unreachable;
    return ended === null ? ExitCode.ok : exitCodeOfRun(ended);
  },
};

/** The output of a run whose runner was lost does not say how the run ended, nor what its session lacks. */
function noteLosses(run: Run, context: CommandContext): void {
  const dropped = describeDropped(run);
  if (dropped !== null) context.note(`Run ${run.run_id}: ${dropped}`);
  if (run.reason === "runner_lost" || run.note !== null)
    context.note(`Run ${run.run_id} ${run.status}: ${describeEnding(run)}`);
}

/** Finds a run by its id, or the last run of a session: a client can choose any session id. */
async function findRun(client: CoordinatorClient, id: string): Promise<Run> {
  try {
    return await client.run(id);
  } catch (error) {
    if (!(error instanceof CoordinatorFailure) || error.status !== 404) throw error;
  }
  const { rows } = await client.newestRuns({ session: id }, 1);
  const run = rows.findLast(({ session_id }) => session_id === id);
  if (run !== undefined) return run;
  throw new UserError(`There is no run and no session ${id}`, {
    hint: "List them with: agent-runner runs, agent-runner sessions",
  });
}
