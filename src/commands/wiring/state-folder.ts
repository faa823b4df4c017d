import { accessSync, constants, lstatSync, mkdirSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config/load-config.ts";
import { describeError, UserError } from "../../errors.ts";
import { shellWord, shownPath } from "../../shell-word.ts";
import { requireTrusted, type TrustFault, trustFault, type TrustOptions, untrusted } from "../../trust/trust-fault.ts";

/** SQLite takes 512 bytes, and the longest file in the folder has `/journals/<24 characters>.sqlite-journal`. */
const MAX_PATH_BYTES = 460;
const WHAT = "The state folder";
/** Folders of the state folder whose files the program opens by name. */
const INNER_FOLDERS = ["journals", "locks", "coordinators"];

/**
 * Makes the folder if it is missing. Throws a UserError if it cannot, and for a folder that other users can change:
 * they could plant a token, or a link in the place of a file.
 */
export function makeStateFolder(config: Pick<Config, "stateDir" | "trustedFolders">): void {
  const { stateDir: path, trustedFolders } = config;
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw new UserError(`The path of the state folder has ${bytes} bytes, and ${MAX_PATH_BYTES} is the limit`, {
      hint: "Name a folder with a shorter path with --state-dir",
    });
  }
  // The first check is for the folders that exist already, the second for one that another user has just made.
  requireTrusted(WHAT, path, { trustedFolders });
  attempt("made", () => mkdirSync(path, { recursive: true, mode: 0o700 }));
  requireOwnState(path, { trustedFolders });
  attempt("written", () => accessSync(path, constants.W_OK | constants.X_OK));
}

function attempt(what: "made" | "written", action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new UserError(`The state folder cannot be ${what}: ${describeError(error)}`, {
      hint: "Name a folder that you can write with --state-dir",
      cause: error,
    });
  }
}

/** Throws a UserError unless only this user and root can change the folder, and nothing in it leads elsewhere. */
function requireOwnState(path: string, options: TrustOptions): void {
  if (process.platform === "win32") return;
  if (lstatSync(path).isSymbolicLink()) {
    throw new UserError(`${WHAT} ${shownPath(path)} is not safe to use: it is a symbolic link`, {
      hint: `Name the folder itself: --state-dir ${shellWord(readlinkSync(path))}`,
    });
  }
  requireTrusted(WHAT, path, options);
  for (const folder of [path, ...INNER_FOLDERS.map((name) => join(path, name))]) requireOwnEntries(folder, options);
}

function requireOwnEntries(folder: string, options: TrustOptions): void {
  for (const path of entriesOf(folder)) {
    const fault = entryFault(path, options);
    if (fault !== null) throw untrusted("The file", path, fault);
  }
}

function entryFault(path: string, options: TrustOptions): TrustFault | null {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  const mend = `Look at it, then: rm ${shellWord(path)}`;
  // The program sets the modes of its files, and would set those of another file.
  if (stats.isSymbolicLink() && !leadsToFolder(path)) return { path, fault: "is a symbolic link", mend };
  if (stats.isFile() && stats.nlink > 1) return { path, fault: "has a second name (a hard link)", mend };
  return trustFault(path, options);
}

/** A folder of runs may be on another disk. */
function leadsToFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** None for a missing folder. */
function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** The coordinator's database in a state folder. */
export function databaseFile(stateDir: string): string {
  return join(stateDir, "coordinator.sqlite");
}
