import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, resolve } from "node:path";
import { loadConfig } from "../config/load-config.ts";
import { describeError, errorCode, ExitCode, usageError, UserError } from "../errors.ts";
import { runTool } from "../process/run-tool.ts";
import { planService } from "../service/plan-service.ts";
import type { ServicePlan, ServiceRequest, Step } from "../service/service-plan.ts";
import { type Command, type CommandArgs, type CommandContext, textArg } from "./command-line/command.ts";
import { commonOptions, runnerOptions } from "./command-line/options.ts";

const ACTIONS = ["install", "uninstall", "status", "logs"] as const;
type Action = (typeof ACTIONS)[number];

/** A stop that waited without end would end in a kill by the service manager. */
const DRAIN_TIMEOUT = "60s";
/** Options whose value is a path; a service has no current folder to start from. */
const PATHS: ReadonlySet<string> = new Set(["config", "executor-path", "executors-dir", "project-dir", "state-dir"]);

const serviceOptions = {
  system: { type: "boolean", description: "A service of the machine, started at boot (default: of your own user)" },
  "run-as": { type: "string", valueHint: "USER", description: "With --system: the user whom it runs as" },
  name: {
    type: "string",
    valueHint: "NAME",
    description: "Name of the service, where there are several (default agent-runner)",
  },
  up: { type: "boolean", description: "Coordinator and runner in one process (agent-runner up)" },
  print: { type: "boolean", description: "Print the files and commands, and do nothing" },
  follow: { type: "boolean", alias: "f", description: "logs: go on with what comes" },
} as const;

const { "executor-list": _list, ...withoutList } = runnerOptions;

export const serviceCommand: Command = {
  name: "service",
  description:
    "Installs the runner as a service that starts by itself, is restarted without ending agents, and is watched: systemd, launchd (not tested), Windows (not tested).",
  args: {
    action: { type: "positional", description: ACTIONS.join(", ") },
    ...serviceOptions,
    ...withoutList,
    ...commonOptions,
  },
  examples: [
    [
      "agent-runner service install -x test-executor -p ~/project",
      "a service of your own; all options of the runner are those of the service",
    ],
    ["agent-runner service install --print -x test-executor", "show what would be written and done"],
    ["sudo agent-runner service install --system --run-as agents -p /srv/project", "a service of the machine"],
    ["agent-runner service logs -f", "what it says"],
  ],
  async run(args, context) {
    const action = textArg(args, "action") ?? "";
    if (!isAction(action))
      throw usageError(`There is no agent-runner service ${action}`, `It is one of: ${ACTIONS.join(", ")}`);
    const plan = planService(requestOf(action, args, context));
    if (args["print"] === true) return print(plan, context);
    return DO[action](plan, args, context);
  },
};

const DO: Readonly<Record<Action, (plan: ServicePlan, args: CommandArgs, context: CommandContext) => Promise<number>>> =
  {
    async install(plan, _args, context) {
      for (const file of plan.files) {
        if (file.isUsers && existsSync(file.path)) continue;
        write(file);
        context.print(`wrote ${file.path}`);
      }
      await follow(plan.install, context);
      for (const note of plan.notes) context.print(note);
      return ExitCode.ok;
    },
    async uninstall(plan, _args, context) {
      await follow(plan.uninstall, context);
      for (const { path, isUsers } of plan.files) {
        if (isUsers) {
          if (existsSync(path)) context.print(`kept ${path}, which may hold secrets of yours`);
          continue;
        }
        rmSync(path, { force: true });
        context.print(`removed ${path}`);
      }
      await follow(plan.forget, context);
      return ExitCode.ok;
    },
    status: (plan) => show(plan.status),
    logs: (plan, args) => show(plan.logs({ follow: args["follow"] === true })),
  };

function isAction(word: string): word is Action {
  return (ACTIONS as readonly string[]).includes(word);
}

function requestOf(action: Action, args: CommandArgs, context: CommandContext): ServiceRequest {
  const isSystem = args["system"] === true;
  const runAs = textArg(args, "run-as") ?? null;
  if (runAs !== null && !isSystem) throw usageError("--run-as goes with --system", "A service of your own runs as you");
  if (action === "install" && isSystem && runAs === null)
    throw usageError(
      "--system needs --run-as USER",
      "Agents do what they are told: give them a user of their own, not root",
    );
  const name = textArg(args, "name") ?? "agent-runner";
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) throw usageError(`--name: "${name}" is not a word of a-z, 0-9 and -`);
  // All faults of what was set are told now, not in the log of a service.
  const drain = loadConfig(args, context.env).drainTimeoutMs > 0 ? {} : { "drain-timeout": DRAIN_TIMEOUT };
  const config = loadConfig({ ...drain, ...args }, context.env);
  const state = isSystem && process.platform === "linux" ? { "state-dir": `/var/lib/${name}` } : {};
  const words = { ...drain, ...state, ...args, "project-dir": config.projectDir };
  return {
    name,
    scope: isSystem ? "system" : "user",
    command: [...programWords(), ...(args["up"] === true ? ["up"] : []), ...runnerWords(words)],
    projectDir: config.projectDir,
    home: isSystem ? homeOf(runAs ?? "") : (context.env["HOME"] ?? userInfo().homedir),
    configHome: dirname(config.folders.config),
    runAs,
    drainMs: config.drainTimeoutMs,
    searchPath: context.env["PATH"] ?? "",
    uid: process.getuid?.() ?? 0,
  };
}

/** This program as a service manager has to start it. */
function programWords(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

/** The runner's options as they were typed, in the order of `--help`. */
function runnerWords(typed: CommandArgs): string[] {
  return Object.keys(withoutList).flatMap((option) => {
    const value = typed[option];
    if (value === undefined) return [];
    if (typeof value === "boolean") return [value ? `--${option}` : `--no-${option}`];
    const isPath = PATHS.has(option) && (option !== "executor-path" || value.includes("/"));
    return [`--${option}`, isPath ? resolve(value) : value];
  });
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
        ? "A service of the machine is installed by root: sudo agent-runner service install --system ..."
        : undefined;
    throw new UserError(`${path} cannot be written: ${describeError(error)}`, {
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}

/** Does the steps in their order. Throws a UserError with the tool's own words at the first that fails and may not. */
async function follow(steps: readonly Step[], context: CommandContext): Promise<void> {
  for (const { command, mayFail } of steps) {
    const end = await runTool(command, { show: false });
    if (end.kind === "ended" && end.code === 0) continue;
    const why = end.kind === "ended" ? end.output : end.why;
    if (mayFail === undefined) throw new UserError(`${command.join(" ")} failed: ${why}`);
    context.note(`${command.join(" ")} did not work (${why || "no reason given"}): ${mayFail}`);
  }
}

async function show(command: readonly string[]): Promise<number> {
  if (command.length === 0)
    throw new UserError("There is no log of this service here", {
      hint: "Use --log-format and the service manager's own means",
    });
  const end = await runTool(command, { show: true });
  if (end.kind === "missing") throw new UserError(`${command[0]} is not on this machine: ${end.why}`);
  return end.code === 0 ? ExitCode.ok : ExitCode.failed;
}
