import { closeSync, openSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../errors.ts";

/** Faults of the machine, not of what was asked: the same may succeed once there is room again. */
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

/** Whether an error says that disk, descriptors, memory or processes have run out. */
export function isShortage(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && (CODES.has(code) || SQLITE_CODES.test(code));
}

/** What the start of one run takes, with something to spare. */
const FREE_BYTES = 16 * 1024 * 1024;
const FREE_DESCRIPTORS = 16;
const PROBE_BYTES = 64 * 1024;

/** Rejects, saying what is lacking, unless `folder` takes a file and there are disk, descriptors and a process for one more run. */
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
