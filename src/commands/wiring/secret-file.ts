import { closeSync, constants, fstatSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { errorCode } from "../../errors.ts";
import { secretFileFault } from "./ownership.ts";

/** Windows has neither constant. O_NONBLOCK: a FIFO does not hold up the program. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Another user could know or set what the file holds. */
class UnsafeFile extends Error {}

/** The text of a file that only this user, or root, can open; null if it is missing. Throws `UnsafeFile`. */
export function readSecretFile(path: string): string | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, READ_FLAGS);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    if (errorCode(error) === "ELOOP") throw new UnsafeFile("it is a symbolic link", { cause: error });
    throw error;
  }
  try {
    const fault = secretFileFault(fstatSync(descriptor));
    if (fault !== null) throw new UnsafeFile(fault);
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

/** Creates the file with mode 0600. Returns false if something stands there already, even a broken link. */
export function createSecretFile(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}
