import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { builtInExecutor, builtInNames } from "./built-in.ts";
import type { CatalogOptions, Executor, ExecutorOrigin } from "./executor.ts";
import { nearest } from "../config/nearest.ts";
import { ownBunCommand, runsOnOwnBun } from "./own-bun.ts";
import { executorFault, type FoundFolder, scanFault, scanFolder } from "./scan-folder.ts";

/** The path of a built-in executor in the source tree, with or without its extension. */
const BUILT_IN_PATH = /^(?:\.\/)?executors\/([^/]+)\/ao-[^/]*-exec[^/]*$/;

/**
 * Finds an executor by name: in the first folder that has it, else among the built-in ones. Throws UserError if there
 * is none, or if its folder has more than one.
 */
export function findExecutorByName(name: string, options: CatalogOptions): Executor {
  for (const folder of options.folders) {
    const found = scanFolder(folder).find((candidate) => candidate.name === name);
    if (found) return executorOfFolder(found, options);
  }
  return builtInExecutor(name, options) ?? notFound(name, options);
}

/**
 * Finds an executor by its path, absolute or from `binaryFolder`, and names it after its folder. A path of a built-in
 * executor in the source tree means the built-in one if there is no file. Otherwise throws UserError.
 */
export function findExecutorByPath(path: string, options: CatalogOptions): Executor {
  const file = resolve(options.binaryFolder, path);
  if (existsSync(file)) {
    const fault = executorFault(file, [], options);
    if (fault) throw new UserError(fault.reason, { hint: fault.hint });
    return executorOfFile(basename(dirname(file)) || "unknown", "path", file, options);
  }
  const builtInName = BUILT_IN_PATH.exec(path.replaceAll("\\", "/"))?.[1];
  const builtIn = builtInName === undefined ? null : builtInExecutor(builtInName, options);
  if (builtIn) return builtIn;
  throw new UserError(`There is no executor at ${file}`, {
    hint:
      `A relative path starts at ${options.binaryFolder}; ` +
      `executors by name (-x): ${executorNames(options).join(", ")}`,
  });
}

function executorOfFolder(found: FoundFolder, options: CatalogOptions): Executor {
  const fault = scanFault(found, options);
  if (fault) throw new UserError(fault.reason, { hint: fault.hint });
  return executorOfFile(found.name, "folder", join(found.path, found.files[0] ?? ""), options);
}

function executorOfFile(name: string, origin: ExecutorOrigin, path: string, options: CatalogOptions): Executor {
  const start = runsOnOwnBun(path, options) ? ownBunCommand(path, options) : { command: [path], env: {} };
  return { name, origin, path, ...start };
}

function notFound(name: string, options: CatalogOptions): never {
  const names = executorNames(options);
  const meant = nearest(name, names);
  const places = `neither built in, nor as ${name}/ao-*-exec* in ${options.folders.join(", ")}`;
  const question = meant === undefined ? "" : `Did you mean ${meant}? `;
  throw new UserError(`There is no executor ${JSON.stringify(name)}: ${places}`, {
    hint: `${question}There are: ${names.join(", ")}`,
  });
}

/** The names of all executors, sorted. */
export function executorNames(options: CatalogOptions): string[] {
  const inFolders = options.folders.flatMap((folder) => scanFolder(folder).map((found) => found.name));
  return [...new Set([...inFolders, ...builtInNames()])].sort();
}
