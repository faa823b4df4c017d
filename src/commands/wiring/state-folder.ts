import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describeError, UserError } from "../../errors.ts";

/** SQLite takes 512 bytes, and the longest file in the folder has `/journals/<24 characters>.sqlite-journal`. */
const MAX_PATH_BYTES = 460;

/** Makes the folder if it is missing. Throws a UserError if it cannot. */
export function makeStateFolder(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw new UserError(`The path of the state folder has ${bytes} bytes, and ${MAX_PATH_BYTES} is the limit`, {
      hint: "Name a folder with a shorter path with --state-dir",
    });
  }
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UserError(`The state folder cannot be made: ${describeError(error)}`, {
      hint: "Name a folder that you can write with --state-dir",
      cause: error,
    });
  }
}

/** The coordinator's database in a state folder. */
export function databaseFile(stateDir: string): string {
  return join(stateDir, "coordinator.sqlite");
}
