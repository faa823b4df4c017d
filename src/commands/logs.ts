import { setTimeout as pause } from "node:timers/promises";
import { CoordinatorFailure, failureOfThrown } from "../client/failure.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { type Config, loadConfig } from "../config/load-config.ts";
import { ExitCode, usageError, UserError } from "../errors.ts";
import { isTerminal, type Run } from "../protocol/run.ts";
import { type Command, type CommandArgs, type CommandContext, textArg } from "./command-line/command.ts";
import { asking, connect } from "./wiring/connect.ts";
import { exitCodeOfRun } from "./follow/follow-run.ts";
import { LogWriter, type Stream } from "./follow/log-writer.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./command-line/options.ts";
import { RunEvents } from "./follow/run-events.ts";
import { RunOutputSource } from "./follow/run-output-source.ts";

const LOOK_EVERY_MS = 500;
const STREAMS: Readonly<Record<string, readonly Stream[]>> = {
  all: ["events", "stdout", "stderr"],
  events: ["events"],
  stdout: ["stdout"],
  stderr: ["stderr"],
};

export const logsCommand: Command = {
  name: "logs",
  description:
    'Shows what a run has written to stdout and stderr and the events of its session. The output is on the runner\'s machine: the coordinator asks the runner for it, as long as that keeps it. With --follow until the run has ended, through an outage of the coordinator; the exit code is then that of the run. 4: the runner that has the output does not answer. A line beyond 1 MiB comes in pieces; with --json all but the last say "continues": true.',
  args: {
    id: {
      type: "positional",
      required: true,
      description: "Id of a run (run_...), or of a session (ses_...): its last run",
    },
    follow: { type: "boolean", alias: "f", description: "Go on until the run has ended" },
    stream: {
      type: "string",
      valueHint: "all|stdout|stderr|events",
      description:
        "Only this (default all). Of one stream the text is printed as it is, without a mark before each line",
    },
    tail: {
      type: "string",
      valueHint: "N",
      description: "Begin with the last so many lines and events (default: with the first)",
    },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  examples: [
    ["agent-runner logs run_0123456789ab", "everything that is there"],
    ["agent-runner logs -f ses_0123456789ab", "what happens in a session, until its run has ended"],
    ["agent-runner logs --stream stdout run_0123456789ab > result.txt", "one stream, as it was written"],
    ["agent-runner logs --tail 20 --json run_0123456789ab", "one JSON object a line, for scripts"],
  ],
  async run(args, context) {
    const streams = STREAMS[textArg(args, "stream") ?? "all"];
    if (streams === undefined)
      throw usageError(`--stream: "${textArg(args, "stream")}" is none of ${Object.keys(STREAMS).join(", ")}`);
    const tail = tailOf(args);
    const config = loadConfig({ "coordinator-url": args["coordinator-url"], config: args["config"] }, context.env);
    const client = connect(config);
    const run = await asking(client, findRun(client, textArg(args, "id") ?? ""));
    const writer = new LogWriter(context, { isJson: args["json"] === true, isMarked: streams.length > 1, tail });
    const log = new RunLog({ client, config, streams, writer, context });
    if (args["follow"] !== true) {
      await asking(client, log.show(run));
      return log.isAway ? ExitCode.unreachable : ExitCode.ok;
    }
    const ended = await asking(client, log.follow(run));
    if (log.isAway) return ExitCode.unreachable;
    return ended === null ? ExitCode.ok : exitCodeOfRun(ended);
  },
};

function tailOf(args: CommandArgs): number | null {
  const text = textArg(args, "tail");
  if (text === undefined) return null;
  if (!/^\d{1,9}$/.test(text)) throw usageError(`--tail: "${text}" is not a whole number`);
  return Number(text);
}

/** Session ids are free: what is no run may be a session. */
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
    hint: "agent-runner runs and agent-runner sessions list them",
  });
}

interface RunLogOptions {
  readonly client: CoordinatorClient;
  readonly config: Config;
  readonly streams: readonly Stream[];
  readonly writer: LogWriter;
  readonly context: CommandContext;
}

/** What a run writes and tells, each once and in its order. */
export class RunLog {
  readonly #options: RunLogOptions;
  #offsets: { stdout: number; stderr: number } | null = null;
  #lastNote = "";
  #isOver = false;
  #isAway = false;

  constructor(options: RunLogOptions) {
    this.#options = options;
  }

  /** Whoever has the output did not answer when it was last asked for: not all of it was shown. */
  get isAway(): boolean {
    return this.#isAway;
  }

  async show(run: Run): Promise<void> {
    const { client, streams, writer } = this.#options;
    if (streams.includes("events")) writer.events(await new RunEvents(client, run.session_id).next());
    await this.#output(this.#source(run));
    writer.end();
  }

  /** To the end of the run, or of its last attempt; null if the reader has gone away. */
  async follow(first: Run): Promise<Run | null> {
    const { client, streams, writer, context } = this.#options;
    const events = new RunEvents(client, first.session_id);
    let run = first;
    let source = this.#source(run);
    while (context.hasReader()) {
      try {
        // Before the look at what it has written: what it writes until its end is then there.
        run = await client.run(run.run_id);
        if (streams.includes("events")) writer.events(await events.next());
        await this.#output(source);
        if (isTerminal(run.status) && run.retried_by == null) {
          writer.end();
          return run;
        }
        if (run.retried_by != null) {
          context.note(`Run ${run.run_id} failed and is tried again as ${run.retried_by}`);
          run = await client.run(run.retried_by);
          source = this.#source(run);
          this.#begin();
          continue;
        }
      } catch (error) {
        const failure = failureOfThrown("logs", error);
        if (!failure.isRetryable) throw error;
        this.#note(`${failure.message}; going on when the coordinator is back`);
      }
      await pause(LOOK_EVERY_MS);
    }
    return null;
  }

  #source(run: Run): RunOutputSource {
    const { client, config } = this.#options;
    return new RunOutputSource(client, run.run_id, config);
  }

  /** A run that is another one's next attempt has output of its own. */
  #begin(): void {
    this.#offsets = null;
    this.#isOver = false;
    this.#lastNote = "";
  }

  /** What had been written when it began to look, as far as it was not shown yet: no run can write so fast that it never ends. */
  async #output(source: RunOutputSource): Promise<void> {
    const { streams, writer, context } = this.#options;
    if (!streams.some((stream) => stream !== "events") || this.#isOver) return;
    this.#offsets ??= writer.startsAtEnd ? null : { stdout: 0, stderr: 0 };
    let goal: { readonly stdout: number; readonly stderr: number } | null = null;
    for (;;) {
      const look = await source.look(this.#offsets);
      this.#isAway = look.kind === "unseen" && look.isAway;
      if (look.kind === "unseen") {
        this.#isOver = look.isOver;
        return this.#note(look.why);
      }
      const { stdout, stderr } = look.parts;
      if (streams.includes("stdout")) writer.output("stdout", stdout.text);
      if (streams.includes("stderr")) writer.output("stderr", stderr.text);
      goal ??= { stdout: stdout.size, stderr: stderr.size };
      const isMore = stdout.to < goal.stdout || stderr.to < goal.stderr;
      const isFurther = stdout.to !== this.#offsets?.stdout || stderr.to !== this.#offsets?.stderr;
      this.#offsets = { stdout: stdout.to, stderr: stderr.to };
      if (!isMore || !isFurther || !context.hasReader()) return;
    }
  }

  #note(words: string): void {
    if (words === this.#lastNote) return;
    this.#lastNote = words;
    this.#options.context.note(words);
  }
}
