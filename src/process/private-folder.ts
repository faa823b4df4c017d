import { chmodSync, mkdirSync, mkdtempSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/load-config.ts";
import { errorCode, UserError } from "../errors.ts";
import { requireTrusted } from "../trust/trust-fault.ts";
import { isShortage } from "./shortage.ts";

/**
 * Creates a folder with mode 0700, along with any missing parents. Ignores the umask, and corrects the mode of a folder
 * that exists.
 */
export function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (process.platform !== "win32" && (statSync(path).mode & 0o777) !== 0o700) chmodSync(path, 0o700);
  return path;
}

export type StatePlaces = Pick<Config, "folders" | "stateDir" | "trustedFolders">;

/** Shortages that do not pass by themselves. */
const LASTING: ReadonlySet<string | undefined> = new Set(["EROFS", "EIO"]);

/**
 * Makes a folder in the user's state folder, which all starts share, whatever their `--state-dir`. Throws if the folder
 * cannot be used: a HOME that is missing, read-only or no folder, or one that other users can change. A full disk is no
 * reason: the other starts still look there.
 */
export function sharedFolder(name: "locks" | "coordinators", { folders, trustedFolders }: StatePlaces): string {
  const folder = join(folders.state, name);
  try {
    requireTrusted("The folder", folder, { trustedFolders });
    privateFolder(folder);
    rmdirSync(mkdtempSync(join(folder, "probe-")));
  } catch (error) {
    if (error instanceof UserError || !isShortage(error) || LASTING.has(errorCode(error))) throw error;
  }
  return folder;
}
