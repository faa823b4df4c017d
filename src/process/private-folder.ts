import { chmodSync, mkdirSync, statSync } from "node:fs";

/** Makes a folder that only this user may enter, whatever the umask is and whatever its mode was; what leads to it is made the same way. */
export function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (process.platform !== "win32" && (statSync(path).mode & 0o777) !== 0o700) chmodSync(path, 0o700);
  return path;
}
