import { resolve } from "node:path";
import * as v from "valibot";
import { loadConfig } from "../config/load-config.ts";
import { Age, wholeNumber } from "../config/values.ts";
import { ExitCode, usageError } from "../errors.ts";
import type { CreateRun, Run } from "../protocol/run.ts";
import { messageText, type SessionEvent } from "../protocol/session.ts";
import { type Command, type CommandArgs, type CommandContext, textArg } from "./command-line/command.ts";
import { asking, connect } from "./wiring/connect.ts";
import { exitCodeOfRun, type Followed, followRun } from "./follow/follow-run.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./command-line/options.ts";
import { printable } from "./terminal/table.ts";

export const submitCommand: Command = {
  name: "submit",
  description:
    "Creates a run. With --wait it is followed live and its result is printed; the exit code is that of the run.",
  args: {
    prompt: { type: "positional", required: true, description: "What the agent is to do; - reads it from stdin" },
    agent: { type: "string", valueHint: "NAME", description: "Agent blueprint to run" },
    "project-dir": {
      type: "string",
      alias: "p",
      valueHint: "DIR",
      description: "Working folder of the agent (default: the runner's)",
    },
    session: { type: "string", valueHint: "ID", description: "Session to resume instead of starting a new one" },
    tag: {
      type: "string",
      valueHint: "TAG",
      description: "Tag that the runner must have; may be given more than once",
    },
    priority: {
      type: "string",
      valueHint: "N",
      description: "Runs of a higher priority are taken first, -1000 to 1000 (default 0; a lower one: --priority=-5)",
    },
    "not-before": {
      type: "string",
      valueHint: "TIME",
      description: "Start it then, not earlier: 2026-01-31T08:00:00Z, or 2h from now",
    },
    ttl: {
      type: "string",
      valueHint: "TIME",
      description: "Give it up if no runner has taken it for so long, e.g. 30m",
    },
    "max-attempts": {
      type: "string",
      valueHint: "N",
      description: "Try it so often if it fails for a reason that may pass (default 1)",
    },
    "retry-delay": {
      type: "string",
      valueHint: "TIME",
      description: "Pause before the second attempt; each further one is twice as long (default 10s)",
    },
    "idempotency-key": {
      type: "string",
      valueHint: "KEY",
      description: "Typed again with the same key, it is the same run and not another one",
    },
    wait: {
      type: "boolean",
      description: "Follow the run to its end and print its result (default on a terminal; --no-wait)",
    },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  examples: [
    ["agent-runner submit --wait 'Say hello'", "create a run, follow it, print its result"],
    ["agent-runner submit --agent researcher -p ~/project 'Find the slow test'", "with a blueprint, in a folder"],
    ["agent-runner submit --session ses_0123456789ab 'And now in French'", "resume a session"],
    [
      "agent-runner submit --not-before 8h --max-attempts 3 'Tidy up the inbox'",
      "in eight hours; tried again if a usage limit ends it",
    ],
    ["agent-runner submit --json --wait - < prompt.txt", "for scripts: prompt from stdin, one JSON object on stdout"],
  ],
  async run(args, context) {
    const client = connect(loadConfig(connectionFlags(args), context.env));
    const created = await asking(client, client.createRun(await requestOf(args), textArg(args, "idempotency-key")));
    const shouldWait = args["wait"] ?? (context.isTerminal && args["json"] !== true);
    if (shouldWait !== true) {
      context.print(args["json"] === true ? JSON.stringify(created) : created.run_id);
      return ExitCode.ok;
    }
    context.note(`Run ${created.run_id} of session ${created.session_id}`);
    const options = {
      onEvent: (event: SessionEvent) => tellEvent(event, context),
      onStatus: (run: Run) => context.note(`  ${run.status}`),
    };
    const followed = await asking(client, followRun(client, created.run_id, created.session_id, options));
    tellEnd(followed, args, context);
    return exitCodeOfRun(followed.run);
  },
};

/** `--project-dir` is the run's here, not the runner's. */
function connectionFlags(args: CommandArgs): CommandArgs {
  return { "coordinator-url": args["coordinator-url"], config: args["config"] };
}

async function requestOf(args: CommandArgs): Promise<CreateRun> {
  const typed = textArg(args, "prompt") ?? "";
  const prompt = typed === "-" ? new TextDecoder().decode(await Bun.stdin.bytes()) : typed;
  if (prompt.trim() === "") throw usageError("The prompt is empty");
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
    ...(projectDir === undefined ? {} : { project_dir: resolve(projectDir) }),
    ...(tags.length === 0 ? {} : { additional_demands: { tags } }),
    ...scheduleOf(args),
  };
}

/** When, how soon and how often it is to be tried; what was not typed is not in it. */
function scheduleOf(
  args: CommandArgs,
): Pick<CreateRun, "priority" | "not_before" | "ttl_seconds" | "max_attempts" | "retry_delay_seconds"> {
  const given = {
    priority: parsed(
      args,
      "priority",
      v.pipe(v.string(), v.regex(/^-?\d+$/, "is not a whole number"), v.transform(Number)),
    ),
    not_before: parsed(args, "not-before", Moment),
    ttl_seconds: parsed(
      args,
      "ttl",
      v.pipe(
        Age,
        v.transform((ms) => ms / 1_000),
      ),
    ),
    max_attempts: parsed(args, "max-attempts", wholeNumber(1, 100)),
    retry_delay_seconds: parsed(
      args,
      "retry-delay",
      v.pipe(
        Age,
        v.transform((ms) => ms / 1_000),
      ),
    ),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A moment with its time zone, or how long from now; gives ISO 8601. */
const Moment = v.union(
  [
    v.pipe(
      v.string(),
      v.isoTimestamp(),
      v.check((text) => !Number.isNaN(Date.parse(text))),
    ),
    v.pipe(
      Age,
      v.transform((ms) => new Date(Date.now() + ms).toISOString()),
    ),
  ],
  "is neither a time such as 2026-01-31T08:00:00Z nor how long from now, such as 2h",
);

function parsed<S extends v.GenericSchema>(args: CommandArgs, option: string, schema: S): v.InferOutput<S> | undefined {
  const typed = textArg(args, option);
  if (typed === undefined) return undefined;
  const result = v.safeParse(schema, typed);
  if (result.success) return result.output;
  throw usageError(`--${option}: ${result.issues[0].message}`);
}

const SHOWN_CHARACTERS = 200;

/** One line for what was said or used; the result itself is printed at the end. */
function tellEvent(event: SessionEvent, context: CommandContext): void {
  if (event.event_type !== "message" && event.tool_name == null) return;
  const tool = event.tool_name ?? "";
  const text = event.event_type === "message" ? `${event.role ?? ""}: ${messageText(event)}` : tool;
  const line = printable(`${event.event_type} ${text}`);
  context.note(`  ${line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line}`);
}

function tellEnd({ run, result }: Followed, args: CommandArgs, context: CommandContext): void {
  if (args["json"] === true) {
    const { run_id, session_id, status, error } = run;
    context.print(JSON.stringify({ run_id, session_id, status, result, error }));
    return;
  }
  if (result !== null) context.print(result);
  if (run.status !== "completed")
    context.note(`Run ${run.run_id} ${run.status}${run.error === null ? "" : `: ${run.error}`}`);
}
