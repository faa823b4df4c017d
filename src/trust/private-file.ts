import { closeSync, constants, fchmodSync, openSync } from "node:fs";

/** A link would have its target made and its mode changed, and a FIFO would hold up the start. */
const OPEN_FLAGS = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Makes the file if it is missing, and gives it mode 0600. Call before SQLite opens it: SQLite would make it readable
 * by all, and gives its side files the same mode. Throws for a link. Never call it for a file that this process has
 * locked through SQLite: the kernel ends a process's locks on a file with the first descriptor that it closes.
 */
export function makePrivate(path: string): void {
  const file = openSync(path, OPEN_FLAGS, 0o600);
  try {
    fchmodSync(file, 0o600);
  } finally {
    closeSync(file);
  }
}
