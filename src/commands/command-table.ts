import type { Command } from "./command-line/command.ts";
import { type CommandModel, commandModel } from "./completion/command-model.ts";
import { commonOptions, runnerOptions } from "./command-line/options.ts";

/** The runner itself: what `agent-runner` without a command does. */
export const rootCommand: Command = {
  name: "",
  description:
    "Runs AI agents on this machine: takes runs from an Agent Coordinator and executes each through an executor.",
  args: { ...runnerOptions, ...commonOptions },
  examples: [
    [
      "agent-runner -x test-executor",
      "take runs from the coordinator at http://localhost:8765 and execute them with the test executor",
    ],
    [
      "agent-runner -c http://coordinator:8765 -p ~/project -t gpu,linux",
      "another coordinator, a project directory, tags that runs may demand",
    ],
    ["agent-runner up -x test-executor", "coordinator and runner in one process, for whoever has no coordinator"],
    ["agent-runner --executor-list", "which executors are there, and can they run?"],
  ],
  run: async (args, context) => (await import("./wiring/run-runner.ts")).runRunner(args, context),
};

/** The commands by name. Each is loaded when it is used; its one line for `--help` stands here. */
export const COMMANDS: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  up: { summary: "Coordinator and runner in one process", load: async () => (await import("./up.ts")).upCommand },
  coordinator: {
    summary: "The embedded coordinator alone",
    load: async () => (await import("./coordinator.ts")).coordinatorCommand,
  },
  submit: {
    summary: "Create a run and follow it to its result",
    load: async () => (await import("./submit.ts")).submitCommand,
  },
  top: {
    summary: "Watch runs, sessions and runners live, and steer them",
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
    summary: "Show what a run writes and tells, and follow it",
    load: async () => (await import("./logs.ts")).logsCommand,
  },
  stop: {
    summary: "Stop a run, or what runs in a session",
    load: async () => (await import("./stop.ts")).stopCommand,
  },
  handover: {
    summary: "End a runner and leave its executors to the next start",
    load: async () => (await import("./handover.ts")).handoverCommand,
  },
  service: {
    summary: "Install the runner as a service, or look after it",
    load: async () => (await import("./service.ts")).serviceCommand,
  },
  completion: {
    summary: "Print completions for bash, zsh or fish, or the manual page",
    load: async () => (await import("./completion/completion.ts")).completionCommand(allCommandModels),
  },
  doctor: {
    summary: "Check coordinator, executors, folders and clock",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
};

/** All of them as completions and the manual page show them, the root command first. */
export async function allCommandModels(): Promise<CommandModel[]> {
  const others = Object.values(COMMANDS).map(async ({ summary, load }) => commandModel(await load(), summary));
  return [commandModel(rootCommand, ""), ...(await Promise.all(others))];
}
