import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const KEPT = 200;

/** Removes all but the newest run folders. For the start, when no run is under way. */
export function pruneRunFolders(folder: string, kept: number = KEPT): void {
  for (const { path } of runFolders(folder).slice(kept)) rmSync(path, { recursive: true, force: true });
}

/** Newest first. */
function runFolders(folder: string): { path: string; modifiedMs: number }[] {
  try {
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .map((path) => ({ path, modifiedMs: statSync(path).mtimeMs }))
      .sort((a, b) => b.modifiedMs - a.modifiedMs);
  } catch {
    return [];
  }
}
