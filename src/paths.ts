import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";

/** Replaces `~` at the start by the home folder, as a shell does for a word without quotes. */
export function expandHome(path: string, home = homedir()): string {
  return path === "~" || path.startsWith("~/") ? join(home, path.slice(1)) : path;
}

/** The absolute path, without `.`, `..` and a slash at the end. Symbolic links stay. */
export function absolutePath(path: string, base: string, home?: string): string {
  return resolve(base, expandHome(path, home));
}

/**
 * One text for all spellings of a path: links are resolved, as far as the path exists. Whatever recognises a folder by
 * its path (a lock, a journal, a registration) must use this.
 */
export function identityOfPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync.native(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(identityOfPath(parent), basename(absolute));
  }
}
