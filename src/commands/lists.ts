import type { ArgsDef } from "citty";
import { loadConfig } from "../config/load-config.ts";
import { wholeNumber } from "../config/values.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Newest } from "../client/newest-rows.ts";
import { ExitCode } from "../errors.ts";
import { parsedArg, textArg } from "./command-line/arguments.ts";
import type { Command, CommandArgs } from "./command-line/command.ts";
import { connect } from "./wiring/connect.ts";
import type { RunnerInfo } from "../protocol/runner.ts";
import { describeEnding } from "./wiring/describe-ending.ts";
import { givenUpIn } from "./wiring/silent-runner.ts";
import { commonOptions, coordinatorOptions, jsonOption, watchOption } from "./command-line/options.ts";
import { showList } from "./wiring/show-list.ts";

const DEFAULT_LIMIT = 50;

const limitOption = {
  limit: {
    type: "string",
    valueHint: "N",
    description: `Show the newest N only (default ${DEFAULT_LIMIT}; 0: all)`,
  },
} as const;
const statusOption = {
  status: { type: "string", valueHint: "A,B", description: "Show those with one of these statuses only" },
} as const;
const sessionOption = {
  session: { type: "string", valueHint: "ID", description: "Show the runs of this session only" },
} as const;

export const runsCommand = listCommand({
  name: "runs",
  description: "Lists runs, the newest last.",
  args: { ...statusOption, ...sessionOption },
  notes: [
    "The status of a pending run says what it waits for: a runner, its turn in the session, its time, or a retry.",
    "Statuses: pending, claimed, running, stopping, completed, failed, stopped.",
  ],
  examples: [
    ["agent-runner runs --status failed --limit 10", "The last ten failed runs, with their errors"],
    ["agent-runner runs --session ses_0123456789ab", "The runs of a session"],
  ],
  headings: ["RUN", "STATUS", "SESSION", "AGENT", "CREATED", "ERROR"],
  read: (client, args, limit) =>
    client.newestRuns({ status: textArg(args, "status"), session: textArg(args, "session") }, limit),
  row: (run) => [
    run.run_id,
    run.waiting_for == null ? run.status : `${run.status} (${run.waiting_for})`,
    run.session_id,
    run.agent_name ?? "-",
    run.created_at ?? "-",
    describeEnding(run),
  ],
});

export const sessionsCommand = listCommand({
  name: "sessions",
  description: "Lists sessions, the newest last.",
  args: statusOption,
  examples: [["agent-runner sessions --status running,pending", "The open sessions"]],
  headings: ["SESSION", "STATUS", "AGENT", "PARENT", "CREATED", "PROJECT DIR"],
  read: (client, args, limit) => client.newestSessions({ status: textArg(args, "status") }, limit),
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
  description: "Lists the registered runners.",
  notes: [
    "A runner without a heartbeat for 2 min is stale.",
    "A runner that takes no runs says why: its machine has no room, or cannot run the executor.",
    "The coordinator gives up the runs of a silent runner after its --lost-after (default 15m).",
  ],
  headings: ["RUNNER", "STATUS", "HOST", "EXECUTOR", "TAGS", "LAST HEARTBEAT", "PROJECT DIR"],
  read: async (client, _args, limit) => {
    const rows = await client.runners();
    return { rows: rows.slice(-limit), isCut: rows.length > limit };
  },
  row: (runner) => [
    runner.runner_id,
    runnerStatus(runner),
    runner.hostname ?? "-",
    runner.executor_type ?? runner.executor_profile ?? "-",
    (runner.tags ?? []).join(",") || "-",
    runner.seconds_since_heartbeat === null ? "-" : `${Math.round(runner.seconds_since_heartbeat)} s ago`,
    runner.project_dir ?? "-",
  ],
});

function runnerStatus(runner: RunnerInfo): string {
  const givenUp = givenUpIn(runner);
  if (givenUp !== null) return `${runner.status} (runs given up in ${givenUp})`;
  return runner.cannot_run == null ? (runner.status ?? "-") : `${runner.status} (takes no runs: ${runner.cannot_run})`;
}

function listCommand<Row>(list: {
  readonly name: string;
  readonly description: string;
  readonly headings: readonly string[];
  readonly args?: ArgsDef;
  readonly notes?: readonly string[];
  readonly examples?: Command["examples"];
  /** The newest rows, at most `limit`, in order of creation. */
  readonly read: (client: CoordinatorClient, args: CommandArgs, limit: number) => Promise<Newest<Row>>;
  readonly row: (row: Row) => readonly string[];
}): Command {
  return {
    name: list.name,
    description: list.description,
    args: { ...list.args, ...limitOption, ...watchOption, ...jsonOption, ...coordinatorOptions, ...commonOptions },
    notes: list.notes ?? [],
    examples: [
      [`agent-runner ${list.name}`, "A table"],
      ...(list.examples ?? []),
      [`agent-runner ${list.name} --watch`, "A live table"],
      [`agent-runner ${list.name} --json`, "A JSON array; with --watch one array per line, on each change"],
    ],
    async run(args, context) {
      const limit = parsedArg(args, "limit", wholeNumber(0)) ?? DEFAULT_LIMIT;
      const connection = connect(loadConfig(args, context.env), context);
      const read = (): Promise<Newest<Row>> =>
        list.read(connection.client, args, limit === 0 ? Number.MAX_SAFE_INTEGER : limit);
      const isCut = await showList({ ...list, read }, connection, args, context);
      if (isCut) context.note(`Only the newest ${limit} are shown; --limit N shows more, --limit 0 all`);
      return ExitCode.ok;
    },
  };
}
