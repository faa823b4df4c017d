import { realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { CatalogOptions, Executor } from "../catalog/executor.ts";
import { findExecutorByName, findExecutorByPath } from "../catalog/find-executor.ts";
import { listExecutors } from "../catalog/list-executors.ts";
import { checkReadiness } from "../catalog/readiness.ts";
import type { Environment } from "../config/environment.ts";
import type { Config } from "../config/load-config.ts";
import { UserError } from "../errors.ts";
import { printTable } from "./table.ts";

const DEFAULT_EXECUTOR = "claude-code";

/** Where executors are looked for, in this order: the folder that was set, beside the binary, the user's data folder. */
export function catalogOptions(config: Config, env: Environment): CatalogOptions {
  const binaryFolder = Bun.isStandaloneExecutable ? dirname(realpathSync(process.execPath)) : resolve(import.meta.dir, "../..");
  const folders = [join(binaryFolder, "executors"), join(config.folders.data, "executors")];
  return {
    folders: config.executorsDir === undefined ? folders : [config.executorsDir, ...folders],
    binaryFolder,
    pathVariable: env["PATH"] ?? "",
    selfCommand: Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main],
    stateDir: config.stateDir,
  };
}

/** The executor that was asked for, ready to run; a UserError tells now, not at the first run, what it lacks. */
export function resolveExecutor(config: Config, env: Environment): Executor {
  const options = catalogOptions(config, env);
  const executor =
    config.executorPath === undefined
      ? findExecutorByName(config.executor ?? DEFAULT_EXECUTOR, options)
      : findExecutorByPath(config.executorPath, options);
  const readiness = checkReadiness(executor, options);
  if (!readiness.ok) throw new UserError(`The executor ${executor.name} cannot run: ${readiness.reason}`, { hint: readiness.hint });
  return executor;
}

/** What `--executor-list` prints. */
export function listOfExecutors(config: Config, env: Environment): string {
  const rows = listExecutors(catalogOptions(config, env)).map(({ name, origin, path, readiness, shadowedBy }) => {
    const where = path ?? origin;
    const state = readiness.ok ? "ready" : `cannot run: ${readiness.reason}; ${readiness.hint}`;
    return [name, where, shadowedBy === null ? state : `not used, shadowed by ${shadowedBy}`];
  });
  return printTable(["NAME", "FROM", "STATE"], rows);
}
