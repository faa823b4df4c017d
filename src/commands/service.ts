import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { loadConfig } from "../config/load-config.ts";
import { describeError, errorCode, ExitCode, usageError, UserError } from "../errors.ts";
import { runTool } from "../process/run-tool.ts";
import { planService } from "../service/plan-service.ts";
import { serviceFault, type ServicePlan, type ServiceRequest, type Step } from "../service/service-plan.ts";
import { flagArg, oneOf, textArg } from "./command-line/arguments.ts";
import type { Command, CommandArgs, CommandContext } from "./command-line/command.ts";
import { optionWords } from "./command-line/option-words.ts";
import { commonOptions, runnerOptions } from "./command-line/options.ts";
import { selfCommand } from "./wiring/resolve-executor.ts";

const ACTIONS = ["install", "uninstall", "status", "logs"] as const;
type Action = (typeof ACTIONS)[number];

/** Limits the drain of a service: the service manager kills a stop that takes too long. */
const DRAIN_TIMEOUT = "60s";

const serviceOptions = {
  system: { type: "boolean", description: "Service of the machine, started at boot (default: of your own user)" },
  "run-as": { type: "string", valueHint: "USER", description: "With --system: the user that the service runs as" },
  name: {
    type: "string",
    valueHint: "NAME",
    description: "Name of the service, to have several (default agent-runner)",
  },
  up: { type: "boolean", description: "Run coordinator and runner in one process (agent-runner up)" },
  print: { type: "boolean", description: "Print the files and commands, and change nothing" },
  follow: { type: "boolean", alias: "f", description: "With logs: follow the log" },
} as const;

const { "executor-list": _list, ...withoutList } = runnerOptions;

export const serviceCommand: Command = {
  name: "service",
  description: "Installs the runner as a service that starts by itself.",
  args: {
    action: { type: "positional", description: ACTIONS.join(", ") },
    ...serviceOptions,
    ...withoutList,
    ...commonOptions,
  },
  notes: [
    "Uses systemd, launchd (not tested) or the Windows Task Scheduler (not tested).",
    "The options of the runner become those of the service. A restart of the service ends no agent.",
  ],
  examples: [
    ["agent-runner service install --up -p ~/project", "Install coordinator and runner as a service of your own"],
    ["agent-runner service install --print", "Show the files and commands without installing"],
    ["sudo agent-runner service install --system --run-as agents -p /srv/project", "Install a service of the machine"],
    ["agent-runner service logs -f", "Follow its log"],
    ["agent-runner service uninstall", "Stop and remove it"],
  ],
  async run(args, context) {
    const action = oneOf("ACTION", textArg(args, "action") ?? "", ACTIONS);
    const plan = planService(requestOf(action, args, context));
    if (flagArg(args, "print")) return print(plan, context);
    return DO[action](plan, args, context);
  },
};

const DO: Readonly<Record<Action, (plan: ServicePlan, args: CommandArgs, context: CommandContext) => Promise<number>>> =
  {
    async install(plan, _args, context) {
      for (const file of plan.files) {
        if (file.isUsers && existsSync(file.path)) continue;
        write(file);
        context.print(`Wrote ${file.path}`);
      }
      await perform(plan.install, context);
      for (const note of plan.notes) context.print(note);
      return ExitCode.ok;
    },
    async uninstall(plan, _args, context) {
      await perform(plan.uninstall, context);
      for (const { path, isUsers } of plan.files) {
        if (isUsers) {
          if (existsSync(path)) context.print(`Kept ${path}, which may hold secrets`);
          continue;
        }
        rmSync(path, { force: true });
        context.print(`Removed ${path}`);
      }
      await perform(plan.forget, context);
      return ExitCode.ok;
    },
    status: (plan) => show(plan.status),
    logs: (plan, args) => show(plan.logs({ follow: flagArg(args, "follow") })),
  };

function requestOf(action: Action, args: CommandArgs, context: CommandContext): ServiceRequest {
  const isSystem = flagArg(args, "system");
  const runAs = textArg(args, "run-as") ?? null;
  if (runAs !== null && !isSystem) throw usageError("--run-as goes with --system", "A service of your own runs as you");
  if (action === "install" && isSystem && runAs === null)
    throw usageError("--system needs --run-as USER", "Name a user for the agents, not root");
  const name = textArg(args, "name") ?? "agent-runner";
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) throw usageError(`--name: "${name}" is not a word of a-z, 0-9 and -`);
  // Reports bad settings now, not in the log of the service.
  const drain = loadConfig(args, context.env).drainTimeoutMs > 0 ? {} : { "drain-timeout": DRAIN_TIMEOUT };
  const config = loadConfig({ ...drain, ...args }, context.env);
  const state = isSystem && process.platform === "linux" ? { "state-dir": `/var/lib/${name}` } : {};
  const words = { ...drain, ...state, ...args, "project-dir": config.projectDir };
  const request: ServiceRequest = {
    name,
    scope: isSystem ? "system" : "user",
    command: [...selfCommand(), ...(flagArg(args, "up") ? ["up"] : []), ...optionWords(withoutList, words)],
    projectDir: config.projectDir,
    home: isSystem ? homeOf(runAs ?? "") : (context.env["HOME"] ?? userInfo().homedir),
    configHome: dirname(config.folders.config),
    runAs,
    drainMs: config.drainTimeoutMs,
    searchPath: context.env["PATH"] ?? "",
    uid: process.getuid?.() ?? 0,
  };
  const fault = action === "install" ? serviceFault(request) : null;
  if (fault !== null) throw usageError(fault, "Rename the folder, or correct the option or variable");
  return request;
}

function homeOf(user: string): string {
  const known = process.platform === "linux" ? `/home/${user}` : `/Users/${user}`;
  return user === "root" ? "/root" : known;
}

function print(plan: ServicePlan, context: CommandContext): number {
  for (const { path, content, mode } of plan.files)
    context.print(`# ${path} (${mode.toString(8).padStart(4, "0")})\n${content}`);
  for (const { command } of plan.install) context.print(`# ${command.join(" ")}`);
  return ExitCode.ok;
}

function write({ path, content, mode }: ServicePlan["files"][number]): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode });
    chmodSync(path, mode);
  } catch (error) {
    const hint =
      errorCode(error) === "EACCES"
        ? "Only root can install a service of the machine: sudo agent-runner service install --system ..."
        : undefined;
    throw new UserError(`${path} cannot be written: ${describeError(error)}`, {
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}

/** Performs the steps in order. A step that must not fail throws a UserError with the tool's output. */
async function perform(steps: readonly Step[], context: CommandContext): Promise<void> {
  for (const { command, mayFail } of steps) {
    const end = await runTool(command, { show: false });
    if (end.kind === "ended" && end.code === 0) continue;
    const why = end.kind === "ended" ? end.output : end.why;
    if (mayFail === undefined) throw new UserError(`${command.join(" ")} failed: ${why}`);
    context.note(`${command.join(" ")} failed (${why || "no reason given"}): ${mayFail}`);
  }
}

async function show(command: readonly string[]): Promise<number> {
  if (command.length === 0)
    throw new UserError("There is no log of this service here", {
      hint: "Use the tools of the service manager",
    });
  const end = await runTool(command, { show: true });
  if (end.kind === "missing") throw new UserError(`${command[0]} is not on this machine: ${end.why}`);
  return end.code === 0 ? ExitCode.ok : ExitCode.failed;
}
