import { join } from "node:path";
import { builtInNames, checkBuiltIn } from "./built-in.ts";
import type { CatalogOptions, ExecutorOrigin, Readiness } from "./executor.ts";
import { checkReadiness } from "./readiness.ts";
import { type FoundFolder, scanFault, scanFolder } from "./scan-folder.ts";

export interface ListedExecutor {
  readonly name: string;
  readonly origin: ExecutorOrigin;
  /** Its file, or its folder if that has several executors; null for a built-in one. */
  readonly path: string | null;
  readonly readiness: Readiness;
  /** The path of the executor of the same name that wins over this one. */
  readonly shadowedBy: string | null;
}

/** All executors, sorted by name; the winner of a name comes first. Writes no file. */
export function listExecutors(options: CatalogOptions): ListedExecutor[] {
  const winners = new Map<string, string>();
  const listed: ListedExecutor[] = [];
  for (const found of options.folders.flatMap(scanFolder)) {
    const entry = listFound(found, winners.get(found.name) ?? null, options);
    if (entry.shadowedBy === null) winners.set(found.name, entry.path ?? found.path);
    listed.push(entry);
  }
  for (const name of builtInNames()) {
    const readiness = checkBuiltIn(name, options);
    listed.push({ name, origin: "built-in", path: null, readiness, shadowedBy: winners.get(name) ?? null });
  }
  // A stable sort: executors of one name stay in order of precedence.
  return listed.sort((a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1));
}

function listFound(found: FoundFolder, shadowedBy: string | null, options: CatalogOptions): ListedExecutor {
  const { name } = found;
  const fault = scanFault(found, options);
  if (fault) return { name, origin: "folder", path: found.path, readiness: { ok: false, ...fault }, shadowedBy };
  const path = join(found.path, found.files[0] ?? "");
  return { name, origin: "folder", path, readiness: checkReadiness({ name, path }, options), shadowedBy };
}
