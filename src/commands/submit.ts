import * as v from "valibot";
import { loadConfig } from "../config/load-config.ts";
import { Age, wholeNumber } from "../config/values.ts";
import { ExitCode, usageError } from "../errors.ts";
import { absolutePath } from "../paths.ts";
import { type CreateRun, Moment, promptFault, type Run } from "../protocol/run.ts";
import { messageText, type SessionEvent } from "../protocol/session.ts";
import { flagArg, parsedArg, textArg } from "./command-line/arguments.ts";
import type { Command, CommandArgs, CommandContext } from "./command-line/command.ts";
import { connect } from "./wiring/connect.ts";
import { describeDropped, describeEnding } from "./wiring/describe-ending.ts";
import { exitCodeOfRun, type Followed, followRun } from "./follow/follow-run.ts";
import { commonOptions, coordinatorOptions, jsonOption, TIME_NOTE } from "./command-line/options.ts";
import { printable } from "./terminal/table.ts";

export const submitCommand: Command = {
  name: "submit",
  description: "Creates a run and, with --wait, follows it and prints its result.",
  args: {
    prompt: { type: "positional", required: true, description: "The task for the agent; - reads it from stdin" },
    agent: { type: "string", valueHint: "NAME", description: "Agent that executes the run" },
    "project-dir": {
      type: "string",
      alias: "p",
      valueHint: "DIR",
      description: "Working folder of the agent (default: the runner's)",
    },
    session: { type: "string", valueHint: "ID", description: "Session to resume (default: a new one)" },
    tag: { type: "string", valueHint: "TAG", description: "Tag that the runner must have; can be repeated" },
    priority: { type: "string", valueHint: "N", description: "Higher runs first, -1000 to 1000 (default 0)" },
    "not-before": {
      type: "string",
      valueHint: "TIME",
      description: "Earliest start: 2026-01-31T08:00:00Z, or 2h from now",
    },
    ttl: { type: "string", valueHint: "TIME", description: "Fail the run if no runner takes it within TIME, e.g. 30m" },
    "max-attempts": { type: "string", valueHint: "N", description: "Attempts on transient failures (default 1)" },
    "retry-delay": {
      type: "string",
      valueHint: "TIME",
      description: "Delay before the first retry, doubled for each further one (default 10s)",
    },
    "idempotency-key": {
      type: "string",
      valueHint: "KEY",
      description: "Repeating the command with the same KEY returns the same run",
    },
    wait: {
      type: "boolean",
      description: "Follow the run and print its result (default on a terminal; else --no-wait)",
    },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  notes: [
    "With --wait the exit code is that of the run: 0 completed, 1 failed, 3 stopped.",
    "Ctrl+C ends the command, not the run.",
    TIME_NOTE,
    "Write a negative priority as --priority=-5.",
    "A usage limit or an unreachable provider is a transient failure; a failed task is not.",
  ],
  examples: [
    ["agent-runner submit --wait 'Say hello'", "Create a run, follow it and print its result"],
    ["agent-runner submit --agent researcher -p ~/project 'Find the slow test'", "Choose an agent and a folder"],
    ["agent-runner submit --session ses_0123456789ab 'And now in French'", "Resume a session"],
    [
      "agent-runner submit --not-before 8h --max-attempts 3 'Tidy up the inbox'",
      "Start in eight hours and retry after a usage limit",
    ],
    [
      "agent-runner submit --json --wait - < prompt.txt",
      "For scripts: the prompt from stdin, one JSON object on stdout",
    ],
  ],
  async run(args, context) {
    const { client, ask } = connect(loadConfig(connectionFlags(args), context.env), context);
    const created = await ask(client.createRun(await readRequest(args), textArg(args, "idempotency-key")));
    const shouldWait = args["wait"] ?? (context.isTerminal && !flagArg(args, "json"));
    if (shouldWait !== true) {
      context.print(flagArg(args, "json") ? JSON.stringify(created) : created.run_id);
      return ExitCode.ok;
    }
    context.note(`Run ${created.run_id} of session ${created.session_id}`);
    const options = {
      onEvent: (event: SessionEvent) => noteEvent(event, context),
      onStatus: (run: Run) => context.note(`  ${run.status}${givenBack(run)}`),
    };
    const followed = await ask(followRun(client, created.run_id, created.session_id, options));
    printEnd(followed, args, context);
    return exitCodeOfRun(followed.run);
  },
};

/** Leaves out `--project-dir`: here it belongs to the run, not to a runner. */
function connectionFlags(args: CommandArgs): CommandArgs {
  return { "coordinator-url": args["coordinator-url"], config: args["config"] };
}

async function readRequest(args: CommandArgs): Promise<CreateRun> {
  const typed = textArg(args, "prompt") ?? "";
  const prompt = typed === "-" ? new TextDecoder().decode(await Bun.stdin.bytes()) : typed;
  if (prompt.trim() === "") throw usageError("The prompt is empty");
  const fault = promptFault(prompt);
  if (fault !== null) throw usageError(`PROMPT: ${fault}`, "Put the text into a file, and name the file in the prompt");
  const session = textArg(args, "session");
  const projectDir = textArg(args, "project-dir");
  const tags = (textArg(args, "tag") ?? "")
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
  return {
    type: session === undefined ? "start_session" : "resume_session",
    prompt,
    execution_mode: "sync",
    ...(session === undefined ? {} : { session_id: session }),
    ...(textArg(args, "agent") === undefined ? {} : { agent_name: textArg(args, "agent") }),
    ...(projectDir === undefined ? {} : { project_dir: absolutePath(projectDir, process.cwd()) }),
    ...(tags.length === 0 ? {} : { additional_demands: { tags } }),
    ...readSchedule(args),
  };
}

/** The options of the schedule that were given. */
function readSchedule(
  args: CommandArgs,
): Pick<
  CreateRun,
  "priority" | "not_before" | "delay_seconds" | "ttl_seconds" | "max_attempts" | "retry_delay_seconds"
> {
  const given = {
    priority: parsedArg(args, "priority", Priority),
    ...parsedArg(args, "not-before", Start),
    ttl_seconds: parsedArg(args, "ttl", AgeInSeconds),
    max_attempts: parsedArg(args, "max-attempts", wholeNumber(1, 100)),
    retry_delay_seconds: parsedArg(args, "retry-delay", AgeInSeconds),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const Priority = v.pipe(v.string(), v.regex(/^-?\d+$/, "is not a whole number"), v.transform(Number));

const AgeInSeconds = v.pipe(
  Age,
  v.transform((ms) => ms / 1_000),
);

const TEN_YEARS_MS = 315_360_000_000;

/**
 * A time with its zone, or a duration from now. The coordinator computes a duration by its own clock. An older one does
 * not know `delay_seconds`, and gets the time by this machine's.
 */
const Start = v.union(
  [
    v.pipe(
      Moment,
      v.transform((text) => ({ not_before: text })),
    ),
    v.pipe(
      Age,
      v.maxValue(TEN_YEARS_MS),
      v.transform((ms) => ({ not_before: new Date(Date.now() + ms).toISOString(), delay_seconds: ms / 1_000 })),
    ),
  ],
  "must be a time that exists, such as 2026-01-31T08:00:00Z, or a time from now such as 2h",
);

const SHOWN_CHARACTERS = 200;

/** Notes a message or a tool call in one line; the result is printed at the end. */
function givenBack({ status, returns, note }: Run): string {
  return status === "pending" && (returns ?? 0) > 0 && note != null ? `. ${note}` : "";
}

function noteEvent(event: SessionEvent, context: CommandContext): void {
  if (event.event_type !== "message" && event.tool_name == null) return;
  const tool = event.tool_name ?? "";
  const text = event.event_type === "message" ? `${event.role ?? ""}: ${messageText(event)}` : tool;
  const line = printable(`${event.event_type} ${text}`);
  context.note(`  ${line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line}`);
}

function printEnd({ run, result }: Followed, args: CommandArgs, context: CommandContext): void {
  if (flagArg(args, "json")) {
    const { run_id, session_id, status, error, reason, note, events_dropped } = run;
    context.print(JSON.stringify({ run_id, session_id, status, result, error, reason, note, events_dropped }));
    return;
  }
  const dropped = describeDropped(run);
  if (dropped !== null) context.note(`Run ${run.run_id}: ${dropped}`);
  if (result !== null) context.print(result);
  const ending = describeEnding(run);
  if (run.status !== "completed") context.note(`Run ${run.run_id} ${run.status}${ending === "" ? "" : `: ${ending}`}`);
}
