import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describeError, UserError } from "../../errors.ts";

/** Makes the folder if it is missing. Throws a UserError if it cannot. */
export function makeStateFolder(path: string): void {
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
