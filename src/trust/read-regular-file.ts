import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { errorCode } from "../errors.ts";

/** Windows has no such constants. O_NONBLOCK: a FIFO that takes the file's place does not hold up the program. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
const CHUNK_BYTES = 64 * 1024;

/** The file is no regular file, or too large. The message is a sentence about "it": the caller names the file. */
export class UnfitFile extends Error {}

export interface ReadOptions {
  readonly maxBytes: number;
  /** Refuses a symbolic link. */
  readonly noFollow?: boolean;
  /** Throws for a file that must not be read. */
  readonly check?: (stats: Stats) => void;
}

/**
 * The UTF-8 text of a regular file of at most `maxBytes`. Throws `UnfitFile` for a FIFO, a device, a socket or a
 * folder, which could block forever or never end; otherwise as `openSync`.
 */
export function readRegularFile(path: string, { maxBytes, noFollow = false, check }: ReadOptions): string {
  // Before the open: that alone has an effect on some devices.
  requireRegular(noFollow ? lstatSync(path) : statSync(path));
  const descriptor = openFile(path, noFollow);
  try {
    const stats = fstatSync(descriptor);
    requireRegular(stats);
    check?.(stats);
    return readAll(descriptor, maxBytes).toString("utf8");
  } finally {
    closeSync(descriptor);
  }
}

/** As `readRegularFile`, but null for a missing file. */
export function readRegularFileIfThere(path: string, options: ReadOptions): string | null {
  try {
    return readRegularFile(path, options);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

function openFile(path: string, noFollow: boolean): number {
  try {
    return openSync(path, READ_FLAGS | (noFollow ? (constants.O_NOFOLLOW ?? 0) : 0));
  } catch (error) {
    if (noFollow && errorCode(error) === "ELOOP") throw new UnfitFile("it is a symbolic link", { cause: error });
    throw error;
  }
}

function requireRegular(stats: Stats): void {
  if (stats.isSymbolicLink()) throw new UnfitFile("it is a symbolic link");
  if (!stats.isFile()) throw new UnfitFile(`it is ${kindOf(stats)}, not a regular file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a FIFO";
  return stats.isSocket() ? "a socket" : "a device";
}

/** The size that the system tells is no bound: the file may grow. */
function readAll(descriptor: number, maxBytes: number): Buffer {
  const chunks: Buffer[] = [];
  for (let bytes = 0; ;) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, maxBytes + 1 - bytes));
    const count = readSync(descriptor, chunk);
    if (count === 0) return Buffer.concat(chunks);
    bytes += count;
    if (bytes > maxBytes) throw new UnfitFile(`it is larger than ${maxBytes} bytes`);
    chunks.push(chunk.subarray(0, count));
  }
}
