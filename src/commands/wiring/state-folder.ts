import { mkdirSync } from "node:fs";
import { describeError, UserError } from "../../errors.ts";

/** Throws a UserError where it cannot be. */
export function makeStateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UserError(`The state folder cannot be made: ${describeError(error)}`, {
      hint: "Name a folder that you may write with --state-dir",
      cause: error,
    });
  }
}
