import { closeSync, openSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../errors.ts";

/** Faults of the machine, not of the request: the same call may succeed once resources are free. */
const CODES: ReadonlySet<string> = new Set([
  "ENOSPC",
  "EDQUOT",
  "EROFS",
  "EIO",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "EAGAIN",
]);
const SQLITE_CODES = /^SQLITE_(?:FULL|IOERR|NOMEM|READONLY|CANTOPEN)/;

/** Whether an error means that the machine ran out of disk, descriptors, memory or processes. */
export function isShortage(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && (CODES.has(code) || SQLITE_CODES.test(code));
}

/** The start of one run needs less than this. */
const FREE_BYTES = 16 * 1024 * 1024;
const FREE_DESCRIPTORS = 16;
const PROBE_BYTES = 64 * 1024;

/**
 * Rejects, naming the shortage, unless `folder` and the machine have room for one more run: disk, descriptors, a
 * process.
 */
export async function requireRoom(folder: string): Promise<void> {
  const path = join(folder, `.probe-${process.pid}`);
  const descriptors: number[] = [];
  try {
    writeFileSync(path, Buffer.alloc(PROBE_BYTES), { mode: 0o600 });
    while (descriptors.length < FREE_DESCRIPTORS) descriptors.push(openSync(path, "r"));
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
    rmSync(path, { force: true });
  }
  const { bavail, bsize } = statfsSync(folder);
  const freeMiB = Math.floor((bavail * bsize) / 1024 ** 2);
  if (bavail * bsize < FREE_BYTES) throw new Error(`only ${freeMiB} MiB of disk are left for ${folder}`);
  if (process.platform === "win32") return;
  const child = Bun.spawn(["/bin/sh", "-c", ":"], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  await child.exited;
}
