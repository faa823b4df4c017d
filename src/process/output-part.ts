import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { OutputPart } from "../protocol/run-output.ts";

const CHUNK = 64 * 1024;

export interface PartWanted {
  /** Null: the end of the stream, from the beginning of a line if there is one. */
  readonly from: number | null;
  readonly bytes: number;
  /** The bound of the file: nothing further from its end is there any more. 0: it has none. */
  readonly limitBytes: number;
}

/**
 * A part of an executor's output, from its file; null if there is none. What the file is not is not read: an executor that has put a link, a pipe or
 * a device in its place shows nothing of where that leads.
 */
export function readOutputPart(path: string, { from, bytes, limitBytes }: PartWanted): OutputPart | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return null;
    const { size } = stat;
    const first = limitBytes > 0 ? Math.max(0, size - limitBytes) : 0;
    const wanted = Math.min(from ?? Math.max(0, size - bytes), size);
    const start = afterHole(fd, Math.max(first, wanted), size);
    const content = read(fd, start, Math.min(bytes, size - start));
    const skipped = from === null && start > first ? toLineStart(content) : from === null || start > wanted ? toCharacter(content) : 0;
    const text = content.subarray(skipped, start + content.length < size ? wholeCharacters(content) : content.length);
    return { from: start + skipped, to: start + skipped + text.length, size, text: text.toString("utf8") };
  } finally {
    closeSync(fd);
  }
}

/** What was given back to the disk reads as zeros. */
function afterHole(fd: number, from: number, size: number): number {
  for (let at = from; at < size; at += CHUNK) {
    const content = read(fd, at, Math.min(CHUNK, size - at));
    const data = content.findIndex((byte) => byte !== 0);
    if (data >= 0) return at + data;
    if (content.length === 0) break;
  }
  return from >= size ? from : size;
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
  return start > 0 && start + length > content.length ? start : content.length;
}

function isContinuation(byte: number | undefined): boolean {
  return ((byte ?? 0) & 0xc0) === 0x80;
}
