import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { OutputPart } from "../../protocol/run-output.ts";

/** Holes start and end on a page boundary. */
const PAGE = 4096;
/** The share of its limit that a trimmed file keeps (run-output.ts). */
const KEPT_SHARE = 0.75;
/** The longest UTF-8 character. */
const MIN_BYTES = 4;

export interface PartRequest {
  /** Null: the end of the stream, from the start of a line if there is one. */
  readonly from: number | null;
  readonly bytes: number;
  /** The size limit of the file: bytes further from its end are gone. 0: no limit. */
  readonly limitBytes: number;
  /** True once the executor has ended: an incomplete character at the end stays incomplete, and is returned. */
  readonly isOver?: boolean;
}

/**
 * Reads a part of an executor's output from its file; null if there is no such file. Follows no link, and opens no
 * pipe or device: an executor could put one in place of the file or its folder to expose what it points to. An offset
 * beyond the end restarts at 0, because the file was emptied.
 */
export function readOutputPart(
  path: string,
  { from, bytes: maxBytes, limitBytes, isOver = false }: PartRequest,
): OutputPart | null {
  let fd: number;
  try {
    fd = openInFolder(dirname(path), basename(path));
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(fd);
    // A hard link exposes another file as a symbolic link does.
    if (!stat.isFile() || stat.nlink !== 1) return null;
    const { size } = stat;
    const bytes = Math.max(maxBytes, MIN_BYTES);
    const first = limitBytes > 0 ? Math.max(0, size - limitBytes) : 0;
    const requested = from !== null && from > size ? 0 : (from ?? Math.max(0, size - bytes));
    const start = afterHole(fd, Math.max(first, requested), size - limitBytes * KEPT_SHARE, limitBytes > 0);
    const content = read(fd, start, Math.min(bytes, size - start));
    const skipped =
      from === null && start > first
        ? toLineStart(content)
        : from === null || start > requested
          ? toCharacter(content)
          : 0;
    const isEnd = start + content.length >= size;
    const text = content.subarray(
      skipped,
      isEnd && isOver ? content.length : Math.max(skipped, wholeCharacters(content)),
    );
    return { from: start + skipped, to: start + skipped + text.length, size, text: text.toString("utf8") };
  } finally {
    closeSync(fd);
  }
}

/** Opens a file in a folder without following a link at either. Throws if it cannot. */
function openInFolder(folder: string, name: string): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  if (process.platform !== "linux") {
    if (!lstatSync(folder).isDirectory()) throw new Error("not a folder");
    return openSync(join(folder, name), flags);
  }
  const opened = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return openSync(`/proc/self/fd/${opened}/${name}`, flags);
  } finally {
    closeSync(opened);
  }
}

/** Skips the hole that a trim left at `from`: it reads as pages of zeros, and ends before `keptFrom`. */
function afterHole(fd: number, from: number, keptFrom: number, isLimited: boolean): number {
  if (!isLimited || from >= keptFrom) return from;
  const zeros = Buffer.alloc(PAGE);
  for (let at = from; at < keptFrom; at = (Math.floor(at / PAGE) + 1) * PAGE) {
    const page = read(fd, at, PAGE - (at % PAGE));
    if (page.length === 0 || !page.equals(zeros.subarray(0, page.length))) return at;
  }
  return Math.ceil(keptFrom / PAGE) * PAGE;
}

function read(fd: number, from: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  return buffer.subarray(0, readSync(fd, buffer, 0, bytes, from));
}

function toLineStart(content: Buffer): number {
  const newline = content.indexOf(0x0a);
  return newline >= 0 && newline < content.length - 1 ? newline + 1 : toCharacter(content);
}

/** The number of leading bytes that continue an earlier character (10xxxxxx). */
function toCharacter(content: Buffer): number {
  let skipped = 0;
  while (skipped < Math.min(3, content.length) && isContinuation(content[skipped])) skipped++;
  return skipped;
}

/** The length of `content` without an incomplete character at its end. */
function wholeCharacters(content: Buffer): number {
  let start = content.length - 1;
  while (start > content.length - 4 && start > 0 && isContinuation(content[start])) start--;
  const lead = content[start] ?? 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return start + length > content.length ? Math.max(0, start) : content.length;
}

function isContinuation(byte: number | undefined): boolean {
  return ((byte ?? 0) & 0xc0) === 0x80;
}
