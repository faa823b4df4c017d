import { loadConfig } from "../config/load-config.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { ExitCode, usageError } from "../errors.ts";
import { type Command, type CommandArgs, textArg } from "./command.ts";
import { asking, connect } from "./connect.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./options.ts";
import { printTable } from "./table.ts";

const SHOWN = 50;

const limitOption = { limit: { type: "string", valueHint: "N", description: `Show so many, the newest (default ${SHOWN}; 0: all)` } } as const;

export const runsCommand = listCommand({
  name: "runs",
  description: "Lists runs, the newest last.",
  headings: ["RUN", "STATUS", "SESSION", "AGENT", "CREATED", "ERROR"],
  read: (client) => client.runs(),
  row: (run) => [run.run_id, run.status, run.session_id, run.agent_name ?? "-", run.created_at ?? "-", run.error ?? ""],
});

export const sessionsCommand = listCommand({
  name: "sessions",
  description: "Lists sessions, the newest last.",
  headings: ["SESSION", "STATUS", "AGENT", "PARENT", "CREATED", "PROJECT DIR"],
  read: (client) => client.sessions(),
  row: (session) => [
    session.session_id,
    session.status,
    session.agent_name ?? "-",
    session.parent_session_id ?? "-",
    session.created_at ?? "-",
    session.project_dir ?? "-",
  ],
});

export const runnersCommand = listCommand({
  name: "runners",
  description: "Lists the runners that are registered.",
  headings: ["RUNNER", "STATUS", "HOST", "EXECUTOR", "TAGS", "LAST HEARTBEAT", "PROJECT DIR"],
  read: (client) => client.runners(),
  row: (runner) => [
    runner.runner_id,
    runner.status ?? "-",
    runner.hostname ?? "-",
    runner.executor_type ?? runner.executor_profile ?? "-",
    (runner.tags ?? []).join(",") || "-",
    runner.seconds_since_heartbeat === null ? "-" : `${Math.round(runner.seconds_since_heartbeat)} s ago`,
    runner.project_dir ?? "-",
  ],
});

function listCommand<Row>(list: {
  readonly name: string;
  readonly description: string;
  readonly headings: readonly string[];
  readonly read: (client: CoordinatorClient) => Promise<readonly Row[]>;
  readonly row: (row: Row) => readonly string[];
}): Command {
  return {
    name: list.name,
    description: list.description,
    args: { ...limitOption, ...jsonOption, ...coordinatorOptions, ...commonOptions },
    examples: [
      [`agent-runner ${list.name}`, "a table"],
      [`agent-runner ${list.name} --json`, "a JSON array, for scripts"],
    ],
    async run(args, context) {
      const limit = limitOf(args);
      const client = connect(loadConfig(args, context.env));
      const rows = await asking(client, list.read(client));
      const shown = limit === 0 ? rows : rows.slice(-limit);
      const width = context.isTerminal ? process.stdout.columns : undefined;
      context.print(args["json"] === true ? JSON.stringify(shown, null, 2) : printTable(list.headings, shown.map(list.row), width));
      if (shown.length < rows.length) context.note(`${rows.length - shown.length} older not shown; --limit 0 shows all`);
      return ExitCode.ok;
    },
  };
}

function limitOf(args: CommandArgs): number {
  const text = textArg(args, "limit") ?? String(SHOWN);
  if (!/^\d+$/.test(text)) throw usageError(`--limit: "${text}" is not a whole number`);
  return Number(text);
}
