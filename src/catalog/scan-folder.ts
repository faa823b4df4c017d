import { type Dirent, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorCode, UserError } from "../errors.ts";

/** A folder `<folder>/<name>` that holds executors: one, as it should be, or several. */
export interface FoundFolder {
  readonly name: string;
  readonly path: string;
  /** Names of the files in it that look like an executor, in order; at least one. */
  readonly files: readonly string[];
}

const EXECUTOR_FILE = /^ao-.*-exec/;
/** What editors and documentation leave beside an executor. */
const OTHER_FILE = /(?:~|\.swp|\.json|\.md)$/i;

/** All `<folder>/<name>/ao-*-exec*`, by name. A folder that is not there holds none; one that cannot be read is a UserError. */
export function scanFolder(folder: string): FoundFolder[] {
  const found: FoundFolder[] = [];
  for (const { name } of readFolder(folder)) {
    const path = join(folder, name);
    if (name.startsWith(".") || !isKind(path, "isDirectory")) continue;
    const files = executorFiles(path);
    if (files.length > 0) found.push({ name, path, files });
  }
  return found;
}

/** What is wrong with a folder that holds several executors; null where there is one. */
export function scanFault({ path, files }: FoundFolder): { readonly reason: string; readonly hint: string } | null {
  if (files.length === 1) return null;
  return {
    reason: `${path} holds ${files.length} executors: ${files.join(", ")}`,
    hint: "leave one file ao-*-exec* in it, or give the path of the one that is meant",
  };
}

/** The executor files directly in `path`. */
function executorFiles(path: string): string[] {
  return readFolder(path)
    .map((entry) => entry.name)
    .filter((name) => EXECUTOR_FILE.test(name) && !OTHER_FILE.test(name) && isKind(join(path, name), "isFile"));
}

function readFolder(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw new UserError(`cannot look for executors in ${path}: ${code ?? String(error)}`, { cause: error });
  }
}

/** Follows symbolic links; a broken one is of no kind. */
function isKind(path: string, kind: "isFile" | "isDirectory"): boolean {
  return statSync(path, { throwIfNoEntry: false })?.[kind]() ?? false;
}
