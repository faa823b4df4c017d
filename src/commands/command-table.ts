import type { Command } from "./command-line/command.ts";
import { type CommandModel, commandModel } from "./completion/command-model.ts";
import { commonOptions, runnerOptions, TIME_NOTE } from "./command-line/options.ts";

/** The runner: `agent-runner` without a command. */
export const rootCommand: Command = {
  name: "",
  description: "Runs AI agents on this machine: takes runs from a coordinator and executes them.",
  args: { ...runnerOptions, ...commonOptions },
  notes: [
    "Settings come from options, environment variables and the settings file, in this order.",
    TIME_NOTE,
    "Ctrl+C drains: the runner takes no more runs and waits for its own.",
    "A second Ctrl+C stops the runs, a third exits at once.",
    "--mcp-port is for agents outside a run. They need the token in AGENT_RUNNER_MCP_TOKEN or in the state folder.",
  ],
  examples: [
    ["agent-runner up", "Start a coordinator and a runner in one process"],
    ["agent-runner", "Run Claude Code for the coordinator at http://localhost:8765"],
    [
      "agent-runner -c http://coordinator:8765 -p ~/project -t gpu,linux",
      "Name a coordinator, a project directory and tags",
    ],
    ["agent-runner --executor-list", "Show which executors there are and whether they can run"],
  ],
  run: async (args, context) => (await import("./wiring/run-runner.ts")).runRunner(args, context),
};

/** The commands by name, each with its line in `--help`. Loaded on use. */
export const COMMANDS: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  up: { summary: "Coordinator and runner in one process", load: async () => (await import("./up.ts")).upCommand },
  coordinator: {
    summary: "The coordinator alone",
    load: async () => (await import("./coordinator.ts")).coordinatorCommand,
  },
  submit: {
    summary: "Create a run and follow it to its result",
    load: async () => (await import("./submit.ts")).submitCommand,
  },
  top: {
    summary: "Watch runs, sessions and runners live; follow and stop runs",
    load: async () => (await import("./top.ts")).topCommand,
  },
  runs: { summary: "List runs", load: async () => (await import("./lists.ts")).runsCommand },
  sessions: { summary: "List sessions", load: async () => (await import("./lists.ts")).sessionsCommand },
  runners: { summary: "List runners", load: async () => (await import("./lists.ts")).runnersCommand },
  agents: {
    summary: "List, show, add and remove agents",
    load: async () => (await import("./agents.ts")).agentsCommand,
  },
  logs: {
    summary: "Show or follow the output and events of a run",
    load: async () => (await import("./logs.ts")).logsCommand,
  },
  stop: {
    summary: "Stop a run, or all open runs of a session",
    load: async () => (await import("./stop.ts")).stopCommand,
  },
  token: {
    summary: "Print the coordinator's token, or a link to the dashboard",
    load: async () => (await import("./token.ts")).tokenCommand,
  },
  tokens: {
    summary: "Create, list and revoke tokens with a role",
    load: async () => (await import("./tokens.ts")).tokensCommand,
  },
  audit: { summary: "List who changed what", load: async () => (await import("./audit.ts")).auditCommand },
  handover: {
    summary: "End a runner and leave its executors running",
    load: async () => (await import("./handover.ts")).handoverCommand,
  },
  service: {
    summary: "Install, check and remove the runner as a service",
    load: async () => (await import("./service.ts")).serviceCommand,
  },
  completion: {
    summary: "Print shell completions or the manual page",
    load: async () => (await import("./completion/completion.ts")).completionCommand(allCommandModels),
  },
  doctor: {
    summary: "Check coordinator, executors, folders and clock",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
};

/** All commands for completions and the manual page, the root command first. */
export async function allCommandModels(): Promise<CommandModel[]> {
  const others = Object.values(COMMANDS).map(async ({ summary, load }) => commandModel(await load(), summary));
  return [commandModel(rootCommand, ""), ...(await Promise.all(others))];
}
