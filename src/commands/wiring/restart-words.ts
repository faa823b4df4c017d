import type { Executor } from "../../catalog/executor.ts";
import type { Config } from "../../config/load-config.ts";
import type { Holder } from "../../runner/identity-lock.ts";
import { shownUrl } from "../../protocol/shown-url.ts";
import { shellWord } from "../../shell-word.ts";
import type { CommandArgs } from "../command-line/command.ts";
import { optionWords } from "../command-line/option-words.ts";
import { runnerOptions, upOptions } from "../command-line/options.ts";

/**
 * The words after the program's name that start a runner of the same identity again: the given options, and each
 * setting of the identity, wherever it came from. Contains no secret.
 */
export function restartWords(
  command: "" | "up",
  given: CommandArgs,
  { coordinatorUrl, configFile, executorPath, executorsDir, projectDir, stateDir, folders, trustedFolders }: Config,
  executor: Executor,
): string[] {
  const identity: CommandArgs = {
    ...(command === "up" ? { port: new URL(coordinatorUrl).port } : { "coordinator-url": shownUrl(coordinatorUrl) }),
    ...(executorPath === undefined || executor.path === null
      ? { executor: executor.name, "executor-path": undefined }
      : { "executor-path": executor.path }),
    ...(executorsDir === undefined ? {} : { "executors-dir": executorsDir }),
    ...(configFile === null ? {} : { config: configFile }),
    ...(stateDir === folders.state ? {} : { "state-dir": stateDir }),
    ...(trustedFolders.length === 0 ? {} : { "trusted-folders": trustedFolders.join(",") }),
    "project-dir": projectDir,
  };
  const { token: _token, ...options } = upOptions;
  return command === "up"
    ? ["up", ...optionWords(options, { ...given, ...identity })]
    : optionWords(runnerOptions, { ...given, ...identity });
}

/** The command line that starts the runner of a lock again. */
export function restartLine(
  program: string,
  { coordinatorUrl, executorType, projectDir, restartWords: words }: Holder,
): string {
  // Version 0.1.0 recorded only the identity.
  const known = words ?? [
    "--coordinator-url",
    shownUrl(coordinatorUrl),
    "--executor",
    executorType,
    "--project-dir",
    projectDir,
  ];
  return [program, ...known.map(shellWord)].join(" ");
}
