import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { CatalogOptions, Executor } from "../../catalog/executor.ts";
import { executorNames, findExecutorByName, findExecutorByPath } from "../../catalog/find-executor.ts";
import { listExecutors } from "../../catalog/list-executors.ts";
import { checkReadiness } from "../../catalog/readiness.ts";
import { type Environment, inheritableEnvironment } from "../../config/environment.ts";
import type { Config } from "../../config/load-config.ts";
import { nearest } from "../../config/nearest.ts";
import { ExitCode, UserError } from "../../errors.ts";
import { printTable } from "../terminal/table.ts";

export const DEFAULT_EXECUTOR = "claude-code";

/** Where executors are looked for, in this order: the folder that was set, beside the binary, the user's data folder. */
export function catalogOptions(config: Config, env: Environment): CatalogOptions {
  const binaryFolder = Bun.isStandaloneExecutable
    ? dirname(realpathSync(process.execPath))
    : resolve(import.meta.dir, "../../..");
  const folders = [join(binaryFolder, "executors"), join(config.folders.data, "executors")];
  return {
    folders: config.executorsDir === undefined ? folders : [config.executorsDir, ...folders],
    binaryFolder,
    env: inheritableEnvironment(env),
    executorConfigs: config.executors,
    selfCommand: Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main],
    stateDir: config.stateDir,
  };
}

/**
 * The executor that was asked for, ready to run, and with what (null where there is nothing to say). A UserError tells now, not at the
 * first run, what it lacks.
 */
export function resolveExecutor(config: Config, env: Environment): { executor: Executor; note: string | null } {
  const options = catalogOptions(config, env);
  refuseUnknownTables(config, options);
  const executor =
    config.executorPath === undefined
      ? findExecutorByName(config.executor ?? DEFAULT_EXECUTOR, options)
      : findExecutorByPath(config.executorPath, options);
  const readiness = checkReadiness(executor, options);
  if (!readiness.ok)
    throw new UserError(`The executor ${executor.name} cannot run: ${readiness.reason}`, { hint: readiness.hint });
  return { executor, note: readiness.note ?? null };
}

/** A table for an executor that does not exist would be a setting that does nothing. */
function refuseUnknownTables({ executors, executor, executorPath, configFile }: Config, options: CatalogOptions): void {
  const known = new Set(executorNames(options));
  if (executor !== undefined) known.add(executor);
  if (executorPath !== undefined) known.add(basename(dirname(executorPath)));
  for (const name of Object.keys(executors)) {
    if (known.has(name)) continue;
    const meant = nearest(name, known);
    const hint = meant === undefined ? `there are ${[...known].sort().join(", ")}` : `did you mean ${meant}?`;
    throw new UserError(`executors.${name} (${configFile ?? ""}): there is no such executor`, {
      hint,
      exitCode: ExitCode.usage,
    });
  }
}

/** What `--executor-list` prints. */
export function listOfExecutors(config: Config, env: Environment): string {
  const rows = listExecutors(catalogOptions(config, env)).map(({ name, origin, path, readiness, shadowedBy }) => {
    const where = path ?? origin;
    const state = readiness.ok
      ? ["ready", readiness.note].filter(Boolean).join(": ")
      : `cannot run: ${readiness.reason}; ${readiness.hint}`;
    return [name, where, shadowedBy === null ? state : `not used, shadowed by ${shadowedBy}`];
  });
  return printTable(["NAME", "FROM", "STATE"], rows);
}
