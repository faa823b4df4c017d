import { existsSync, linkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../errors.ts";

/*
 * Whether an executor has begun is known for certain only by something that happens once: the shim creates a file before it does
 * anything else, and ends itself where it is there already. A runner that was killed in the moment of a spawn may or may not have a
 * child; its next start creates that file itself. If it succeeds, the executor has not begun and never will, and the run can be begun anew;
 * if not, it has begun, and the run is never executed again. Each attempt has a file of its own; one that a runner created says "void".
 */

/** The file that the shim of the next attempt has to create. */
export function beginMarkOf(runFolder: string): string {
  for (let attempt = 0; ; attempt++) {
    const mark = join(runFolder, `begun.${attempt}`);
    if (!existsSync(mark)) return mark;
  }
}

/** True: no executor of the run has begun, and none that may be on its way will. False: one has, or nobody can tell any more. */
export function preventBeginning(runFolder: string): boolean {
  // Without a shim nobody creates the file; and a folder that is gone was the executor's to remove.
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

/** A link comes into being with its content, and only where there is nothing. */
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
