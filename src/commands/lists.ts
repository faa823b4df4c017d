import type { ArgsDef } from "citty";
import { loadConfig } from "../config/load-config.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Newest } from "../client/newest-rows.ts";
import { ExitCode, usageError } from "../errors.ts";
import { type Command, type CommandArgs, textArg } from "./command-line/command.ts";
import { asking, connect } from "./wiring/connect.ts";
import { commonOptions, coordinatorOptions, jsonOption, watchOption } from "./command-line/options.ts";
import { printTable } from "./terminal/table.ts";
import { watch } from "./terminal/watch.ts";

const SHOWN = 50;

const limitOption = {
  limit: { type: "string", valueHint: "N", description: `Show so many, the newest (default ${SHOWN}; 0: all)` },
} as const;
const statusOption = {
  status: { type: "string", valueHint: "A,B", description: "Only those with one of these statuses" },
} as const;
const sessionOption = {
  session: { type: "string", valueHint: "ID", description: "Only the runs of this session" },
} as const;

export const runsCommand = listCommand({
  name: "runs",
  description:
    "Lists runs, the newest last. Of a pending run it is told what it waits for: a runner, its turn in the session, its time, another attempt.",
  args: { ...statusOption, ...sessionOption },
  examples: [["agent-runner runs --status failed --limit 10", "the last ten that failed"]],
  headings: ["RUN", "STATUS", "SESSION", "AGENT", "CREATED", "ERROR"],
  read: (client, args, most) =>
    client.newestRuns({ status: textArg(args, "status"), session: textArg(args, "session") }, most),
  row: (run) => [
    run.run_id,
    run.waiting_for == null ? run.status : `${run.status} (${run.waiting_for})`,
    run.session_id,
    run.agent_name ?? "-",
    run.created_at ?? "-",
    run.error ?? "",
  ],
});

export const sessionsCommand = listCommand({
  name: "sessions",
  description: "Lists sessions, the newest last.",
  args: statusOption,
  examples: [["agent-runner sessions --status running,pending", "what is not over"]],
  headings: ["SESSION", "STATUS", "AGENT", "PARENT", "CREATED", "PROJECT DIR"],
  read: (client, args, most) => client.newestSessions({ status: textArg(args, "status") }, most),
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
  read: async (client, _args, most) => {
    const rows = await client.runners();
    return { rows: rows.slice(-most), isCut: rows.length > most };
  },
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
  readonly args?: ArgsDef;
  readonly examples?: Command["examples"];
  /** At most so many, the newest, in order of creation. */
  readonly read: (client: CoordinatorClient, args: CommandArgs, most: number) => Promise<Newest<Row>>;
  readonly row: (row: Row) => readonly string[];
}): Command {
  return {
    name: list.name,
    description: list.description,
    args: { ...list.args, ...limitOption, ...watchOption, ...jsonOption, ...coordinatorOptions, ...commonOptions },
    examples: [
      [`agent-runner ${list.name}`, "a table"],
      ...(list.examples ?? []),
      [`agent-runner ${list.name} --json`, "a JSON array, for scripts"],
      [`agent-runner ${list.name} --watch`, "again whenever it has changed; with --json one array a line"],
    ],
    async run(args, context) {
      const limit = limitOf(args);
      const client = connect(loadConfig(args, context.env));
      const read = (): Promise<Newest<Row>> => list.read(client, args, limit === 0 ? Number.MAX_SAFE_INTEGER : limit);
      const table = (rows: readonly Row[]): string =>
        printTable(list.headings, rows.map(list.row), context.isTerminal ? process.stdout.columns : undefined);
      if (args["watch"] === true) {
        const look = async (): Promise<{ shown: string; known: string }> => {
          const { rows } = await read();
          const known = JSON.stringify(rows, withoutAge);
          return { known, shown: args["json"] === true ? JSON.stringify(rows) : table(rows) };
        };
        await asking(client, watch(context, look));
        return ExitCode.ok;
      }
      const { rows, isCut } = await asking(client, read());
      context.print(args["json"] === true ? JSON.stringify(rows, null, 2) : table(rows));
      if (isCut) context.note("Older ones are not shown; --limit N shows so many, --limit 0 all");
      return ExitCode.ok;
    },
  };
}

/** What is another at each look is no change. */
function withoutAge(key: string, value: unknown): unknown {
  return key === "seconds_since_heartbeat" ? undefined : value;
}

function limitOf(args: CommandArgs): number {
  const text = textArg(args, "limit") ?? String(SHOWN);
  if (!/^\d+$/.test(text)) throw usageError(`--limit: "${text}" is not a whole number`);
  return Number(text);
}
