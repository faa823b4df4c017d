import { chmodSync, mkdirSync, statSync } from "node:fs";

/**
 * Creates a folder with mode 0700, along with any missing parents. Ignores the umask, and corrects the mode of a folder
 * that exists.
 */
export function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (process.platform !== "win32" && (statSync(path).mode & 0o777) !== 0o700) chmodSync(path, 0o700);
  return path;
}
