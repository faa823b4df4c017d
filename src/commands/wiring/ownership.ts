import { lstatSync, type Stats } from "node:fs";

const WRITABLE_BY_OTHERS = 0o022;
const OPEN_TO_OTHERS = 0o077;

/** Says which other users could change the folder or replace its files; null if none but root can. */
export function folderFault(path: string): string | null {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return "it is a symbolic link";
  if (!stats.isDirectory()) return "it is no folder";
  return ownerFault(stats) ?? modeFault(stats, WRITABLE_BY_OTHERS, "can write to it");
}

/** Says who else could read or change a secret file; null if none but root can. `stats`: of the open file. */
export function secretFileFault(stats: Stats): string | null {
  if (!stats.isFile()) return "it is no regular file";
  return ownerFault(stats) ?? modeFault(stats, OPEN_TO_OTHERS, "can open it");
}

function ownerFault({ uid }: Stats): string | null {
  const own = process.getuid?.();
  return own === undefined || uid === own || uid === 0 ? null : `it belongs to another user (uid ${uid})`;
}

/** Windows has no such modes. */
function modeFault({ mode }: Stats, mask: number, what: string): string | null {
  if (process.platform === "win32" || (mode & mask) === 0) return null;
  return `other users ${what} (mode ${(mode & 0o7777).toString(8).padStart(4, "0")})`;
}
