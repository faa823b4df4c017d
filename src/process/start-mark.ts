import { existsSync, linkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../errors.ts";

/*
 * Decides for certain whether an executor has started. The shim creates the mark, a file, before anything else, and
 * exits if the file exists. A runner that was killed during a spawn may or may not have a child. So the runner's next
 * process tries to create the mark itself:
 * - If it succeeds, the executor has not started and never will. The run can be started again.
 * - If it fails, the executor has started. The run is never executed again.
 *
 * Each attempt has its own mark. A mark created by a runner contains "void".
 */

/** The file that the shim of the next attempt creates. */
export function startMarkOf(runFolder: string): string {
  for (let attempt = 0; ; attempt++) {
    const mark = join(runFolder, `begun.${attempt}`);
    if (!existsSync(mark)) return mark;
  }
}

/**
 * True: no executor of the run has started, and a shim that is still being spawned will exit. False: an executor has
 * started, or nobody can tell.
 */
export function preventStart(runFolder: string): boolean {
  // Windows has no shim that creates the mark. Only an executor removes its run folder.
  if (process.platform === "win32" || !existsSync(runFolder)) return false;
  const draft = join(runFolder, "void");
  try {
    writeFileSync(draft, "void", { mode: 0o600 });
    return linkAsMark(draft, runFolder);
  } catch {
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Links a finished file, so that the mark appears with its content, and only if no mark exists. */
function linkAsMark(draft: string, runFolder: string): boolean {
  for (let attempt = 0; ; attempt++) {
    const mark = join(runFolder, `begun.${attempt}`);
    try {
      linkSync(draft, mark);
      return true;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") return false;
      if (statSync(mark).size === 0) return false;
    }
  }
}
