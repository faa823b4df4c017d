import { type Stats, writeFileSync } from "node:fs";
import { errorCode } from "../errors.ts";
import { readRegularFileIfThere, UnfitFile } from "./read-regular-file.ts";
import { ownerFault } from "./trust-fault.ts";

const OPEN_TO_OTHERS = 0o077;
const MAX_BYTES = 64 * 1024;

/**
 * The text of a file that only this user, or root, can open; null if it is missing. Throws `UnfitFile` for any other
 * file: another user could know or set what it holds.
 */
export function readSecretFile(path: string): string | null {
  return readRegularFileIfThere(path, {
    maxBytes: MAX_BYTES,
    noFollow: true,
    check: (stats) => {
      const fault = secretFault(path, stats);
      if (fault !== null) throw new UnfitFile(fault);
    },
  });
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

function secretFault(path: string, stats: Stats): string | null {
  const fault = ownerFault(path, stats);
  if (fault !== null) return `it ${fault.fault}`;
  if (process.platform === "win32" || (stats.mode & OPEN_TO_OTHERS) === 0) return null;
  return `other users can open it (mode ${(stats.mode & 0o7777).toString(8).padStart(4, "0")})`;
}
