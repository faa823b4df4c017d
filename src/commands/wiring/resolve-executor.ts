import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { builtInNames, isBuiltInInstalled } from "../../catalog/built-in.ts";
import type { CatalogOptions, Executor } from "../../catalog/executor.ts";
import { executorNames, findExecutorByName, findExecutorByPath } from "../../catalog/find-executor.ts";
import { listExecutors } from "../../catalog/list-executors.ts";
import { checkReadiness } from "../../catalog/readiness.ts";
import { type Environment, inheritableEnvironment } from "../../config/environment.ts";
import type { Config } from "../../config/load-config.ts";
import { nearest } from "../../config/nearest.ts";
import { errorCode, ExitCode, UserError } from "../../errors.ts";
import { printTable } from "../terminal/table.ts";

export const DEFAULT_EXECUTOR = "claude-code";
/** Runs without an agent. */
const TRIAL_EXECUTOR = "test-executor";

/** The folders of executors, in this order: the configured one, beside the binary, in the user's data folder. */
export function catalogOptions(config: Config, env: Environment): CatalogOptions {
  const binaryFolder = Bun.isStandaloneExecutable
    ? dirname(realpathSync(process.execPath))
    : resolve(import.meta.dir, "../../..");
  const folders = [join(binaryFolder, "executors"), join(config.folders.data, "executors")].filter(isReachable);
  return {
    folders: config.executorsDir === undefined ? folders : [config.executorsDir, ...folders],
    binaryFolder,
    env: inheritableEnvironment(env),
    executorConfigs: config.executors,
    projectDir: config.projectDir,
    selfCommand: selfCommand(),
    stateDir: config.stateDir,
    trustedFolders: config.trustedFolders,
  };
}

/** False in a HOME that this user may not enter, such as that of root after `sudo -u USER`. */
function isReachable(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    return errorCode(error) !== "EACCES";
  }
}

/** The words that start this program as another process. */
export function selfCommand(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

/**
 * The configured executor, ready to run. `note` names its program, such as the Claude Code. Throws a UserError
 * now, not at the first run, if something is missing.
 */
export function resolveExecutor(config: Config, env: Environment): { executor: Executor; note: string | null } {
  const options = catalogOptions(config, env);
  refuseUnknownTables(config, options);
  const executor =
    config.executorPath === undefined
      ? findExecutorByName(config.executor ?? DEFAULT_EXECUTOR, options)
      : findExecutorByPath(config.executorPath, options);
  const readiness = checkReadiness(executor, options);
  if (readiness.ok) return { executor, note: readiness.note ?? null };
  const isChosen = (config.executorPath ?? config.executor) !== undefined;
  throw new UserError(`The executor ${executor.name} cannot run: ${readiness.reason}`, {
    hint: isChosen ? readiness.hint : `${readiness.hint}; or use another executor: -x ${alternativeExecutor(options)}`,
  });
}

/** An executor for a user whose default executor cannot run. */
function alternativeExecutor(options: CatalogOptions): string {
  const builtIn = new Set(builtInNames());
  return executorNames(options).find((name) => !builtIn.has(name)) ?? TRIAL_EXECUTOR;
}

/**
 * ` -x NAME` for a command line in a hint; empty if the default executor is installed. Names the trial executor only
 * to a user without any other. Starts no program, so a hint takes no time.
 */
export function executorOption(config: Config, env: Environment): string {
  if (config.executorPath !== undefined) return ` -e ${config.executorPath}`;
  if (config.executor !== undefined && config.executor !== TRIAL_EXECUTOR) return ` -x ${config.executor}`;
  const options = catalogOptions(config, env);
  return isBuiltInInstalled(DEFAULT_EXECUTOR, options) ? "" : ` -x ${alternativeExecutor(options)}`;
}

/** Refuses a settings table for an executor that does not exist: nothing would read it. */
function refuseUnknownTables({ executors, executor, executorPath, configFile }: Config, options: CatalogOptions): void {
  const known = new Set(executorNames(options));
  if (executor !== undefined) known.add(executor);
  if (executorPath !== undefined) known.add(basename(dirname(executorPath)));
  for (const name of Object.keys(executors)) {
    if (known.has(name)) continue;
    const meant = nearest(name, known);
    const hint = meant === undefined ? `There are ${[...known].sort().join(", ")}` : `Did you mean ${meant}?`;
    throw new UserError(`executors.${name} (${configFile ?? ""}): there is no such executor`, {
      hint,
      exitCode: ExitCode.usage,
    });
  }
}

/** The table of `--executor-list`. */
export function listOfExecutors(config: Config, env: Environment): string {
  const rows = listExecutors(catalogOptions(config, env)).map(({ name, origin, path, readiness, shadowedBy }) => {
    const state = readiness.ok
      ? ["ready", readiness.note].filter(Boolean).join(": ")
      : `cannot run: ${readiness.reason}; ${readiness.hint}`;
    return [name, path ?? origin, shadowedBy === null ? state : `not used, shadowed by ${shadowedBy}`];
  });
  return printTable(["NAME", "FROM", "STATE"], rows);
}
