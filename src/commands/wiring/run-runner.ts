import { statSync } from "node:fs";
import { inheritableEnvironment } from "../../config/environment.ts";
import { type Config, loadConfig } from "../../config/load-config.ts";
import { ExitCode, usageError, UserError } from "../../errors.ts";
import { createLog, type Log } from "../../log.ts";
import { createRunner, type RunnerOptions } from "../../runner/create-runner.ts";
import type { Runner, RunnerEnd } from "../../runner/runner.ts";
import { DescriptorGuard } from "../../process/descriptor-guard.ts";
import { reapOrphans } from "../../process/reap-orphans.ts";
import { tellServiceManager } from "./tell-service-manager.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { flagArg } from "../command-line/arguments.ts";
import type { CommandArgs, CommandContext } from "../command-line/command.ts";
import { authorizationOf } from "./connect.ts";
import { listOfExecutors, resolveExecutor, selfCommand } from "./resolve-executor.ts";
import { restartWords } from "./restart-words.ts";
import { makeStateFolder } from "./state-folder.ts";
import { onInterrupts } from "../terminal/interrupts.ts";
import { startConfiguredTelemetry } from "./configured-telemetry.ts";

/** The root command. */
export async function runRunner(args: CommandArgs, context: CommandContext): Promise<number> {
  const config = runnerConfig(args, context);
  using _orphans = reapOrphans();
  if (flagArg(args, "executor-list")) {
    context.print(listOfExecutors(config, context.env));
    return ExitCode.ok;
  }
  const log = commandLog(config, context);
  makeStateFolder(config);
  using _descriptors = new DescriptorGuard(log);
  await using telemetry = await startConfiguredTelemetry("runner", config, context, log);
  using manager = tellServiceManager(context.env);
  const runner = makeRunner({ command: "", args, config, context, log, telemetry }, (state) => manager.onState(state));
  manager.watch(runner);
  using _signals = onInterrupts(runner, context);
  return exitCodeOf(await runner.run());
}

/** The settings of a command with a runner. */
export function runnerConfig(args: CommandArgs, context: CommandContext): Config {
  if (args["executor"] !== undefined && args["executor-path"] !== undefined) {
    throw usageError("--executor and --executor-path exclude each other", "Give a name (-x) or a path (-e)");
  }
  return loadConfig(args, context.env);
}

/** Throws a UserError unless the runner has a project directory: each of its runs would fail. */
function requireProjectDir({ projectDir }: Config): void {
  if (statSync(projectDir, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new UserError(`The project directory ${projectDir} is not a folder`, {
    hint: "Make it, or name another with --project-dir",
  });
}

export function commandLog(config: Config, context: CommandContext): Log {
  const log = createLog("agent-runner", {
    format: config.logFormat,
    verbose: config.verbose,
    write: context.draw,
    colours: context.isTerminal && !context.env["NO_COLOR"],
  });
  for (const warning of config.warnings) log.warn(warning);
  return log;
}

export interface RunnerCommand {
  readonly command: "" | "up";
  readonly args: CommandArgs;
  readonly config: Config;
  readonly context: CommandContext;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

export function makeRunner(
  { command, args, config, context, log, telemetry }: RunnerCommand,
  onState?: RunnerOptions["onState"],
): Runner {
  requireProjectDir(config);
  const { executor, note } = resolveExecutor(config, context.env);
  if (note !== null) log.info(`Executor ${executor.name}: ${note}`);
  const runner = createRunner({
    config,
    executor,
    authorization: authorizationOf(config),
    inheritedEnv: inheritableEnvironment(context.env),
    selfCommand: selfCommand(),
    restartWords: restartWords(command, args, config, executor),
    log,
    observer: telemetry.observer,
    ...(onState === undefined ? {} : { onState }),
  });
  telemetry.show(runner);
  return runner;
}

export function exitCodeOf(end: RunnerEnd): number {
  if (end.reason === "offline") return ExitCode.unreachable;
  if (end.reason === "superseded") return ExitCode.failed;
  return end.unreported.length > 0 ? ExitCode.failed : ExitCode.ok;
}
