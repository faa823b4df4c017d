import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { statusFileOf } from "./spawn.ts";

const KEPT = 200;
const MAY_BE_IN_USE_MS = 30 * 86_400_000;

/** Removes all but the newest run folders. A younger one without an exit status may be in use, by another runner too, and stays. */
export function pruneRunFolders(folder: string, kept: number = KEPT): void {
  for (const { path, modifiedMs } of runFolders(folder).slice(kept)) {
    const isThrough = existsSync(statusFileOf(path)) || Date.now() - modifiedMs > MAY_BE_IN_USE_MS;
    if (isThrough) rmSync(path, { recursive: true, force: true });
  }
}

/** Newest first. */
function runFolders(folder: string): { path: string; modifiedMs: number }[] {
  try {
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .map((path) => ({ path, modifiedMs: lstatSync(path).mtimeMs }))
      .sort((a, b) => b.modifiedMs - a.modifiedMs);
  } catch {
    return [];
  }
}
