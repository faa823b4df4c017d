import { type Dirent, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCode, UserError } from "../errors.ts";
import { describeTrustFault, type TrustFault, trustFault, trustHint, type TrustOptions } from "../trust/trust-fault.ts";

/** A folder `<folder>/<name>` with executors: one, or by mistake several. */
export interface FoundFolder {
  readonly name: string;
  readonly path: string;
  /** Names of its executor files, sorted; at least one. */
  readonly files: readonly string[];
}

const EXECUTOR_FILE = /^ao-.*-exec/;
/** Files of editors and documentation beside an executor. */
const OTHER_FILE = /(?:~|\.swp|\.json|\.md)$/i;

/** All `<folder>/<name>/ao-*-exec*`, sorted by name. None for a missing folder; UserError for an unreadable one. */
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

/** Why the folder has no executor to use: other users can change it, or it has several. Null without a fault. */
export function scanFault(
  { path, files }: FoundFolder,
  options: TrustOptions,
): { readonly reason: string; readonly hint: string } | null {
  const [file = ""] = files;
  const fault = executorFault(join(path, file), [dirname(path), path], options);
  if (fault !== null) return fault;
  if (files.length === 1) return null;
  return {
    reason: `${path} has ${files.length} executors: ${files.join(", ")}`,
    hint: "leave one file ao-*-exec* in it, or name one by its path (-e)",
  };
}

/**
 * Who else could change an executor's file, or plant another in one of the `scanned` folders: there the sticky bit does
 * not help.
 */
export function executorFault(
  path: string,
  scanned: readonly string[],
  options: TrustOptions,
): { readonly reason: string; readonly hint: string } | null {
  for (const step of [...scanned, path]) {
    const fault: TrustFault | null = trustFault(step, options);
    if (fault === null) continue;
    return {
      reason: describeTrustFault(path, fault),
      hint: trustHint(step, fault),
    };
  }
  return null;
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
    throw new UserError(`Cannot read the folder of executors ${path}: ${code ?? String(error)}`, { cause: error });
  }
}

/** Follows symbolic links; false for a broken one. */
function isKind(path: string, kind: "isFile" | "isDirectory"): boolean {
  return statSync(path, { throwIfNoEntry: false })?.[kind]() ?? false;
}
