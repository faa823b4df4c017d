import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { OutputPart } from "../protocol/run-output.ts";

/** A hole begins and ends with one; a bound file keeps at least so much of its bound. */
const PAGE = 4096;
const KEPT_SHARE = 0.75;
/** Room for any character. */
const LEAST_BYTES = 4;

export interface PartWanted {
  /** Null: the end of the stream, from the beginning of a line if there is one. */
  readonly from: number | null;
  readonly bytes: number;
  /** The bound of the file: nothing further from its end is there any more. 0: it has none. */
  readonly limitBytes: number;
  /** Nothing more is written: what is no whole character at the end never will be one. */
  readonly isOver?: boolean;
}

/**
 * A part of an executor's output, from its file; null if there is none. What the file is not is not read: an executor that has put a link, a pipe or
 * a device in its place, or a link in that of its folder, shows nothing of where that leads. An offset beyond the end begins anew: the file was emptied.
 */
export function readOutputPart(
  path: string,
  { from, bytes: most, limitBytes, isOver = false }: PartWanted,
): OutputPart | null {
  let fd: number;
  try {
    fd = openInFolder(dirname(path), basename(path));
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(fd);
    // A second name of a file is as good as a link.
    if (!stat.isFile() || stat.nlink !== 1) return null;
    const { size } = stat;
    const bytes = Math.max(most, LEAST_BYTES);
    const first = limitBytes > 0 ? Math.max(0, size - limitBytes) : 0;
    const asked = from !== null && from > size ? 0 : from;
    const wanted = asked ?? Math.max(0, size - bytes);
    const start = afterHole(fd, Math.max(first, wanted), size - limitBytes * KEPT_SHARE, limitBytes > 0);
    const content = read(fd, start, Math.min(bytes, size - start));
    const skipped =
      from === null && start > first
        ? toLineStart(content)
        : from === null || start > wanted
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

/** Opens a file of a folder, neither of them through a link. Throws where it cannot. */
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

/** What was given back to the disk reads as pages of zeros, and ends before `keptFrom`, from where on everything is kept. */
function afterHole(fd: number, from: number, keptFrom: number, isBound: boolean): number {
  if (!isBound || from >= keptFrom) return from;
  const nothing = Buffer.alloc(PAGE);
  for (let at = from; at < keptFrom; at = (Math.floor(at / PAGE) + 1) * PAGE) {
    const page = read(fd, at, PAGE - (at % PAGE));
    if (page.length === 0 || !page.equals(nothing.subarray(0, page.length))) return at;
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

/** How many bytes at the beginning belong to a character before: 10xxxxxx continues one. */
function toCharacter(content: Buffer): number {
  let skipped = 0;
  while (skipped < Math.min(3, content.length) && isContinuation(content[skipped])) skipped++;
  return skipped;
}

/** Up to where the content has whole characters: one of up to four bytes may be cut at its end. */
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
