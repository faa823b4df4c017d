import { constants, gzipSync } from "node:zlib";
import type { ArchiveEntry } from "./archive-entry.ts";

const BLOCK = 512;
const LONGEST_NAME = 100;

/** A gzipped tar (ustar) of regular files owned by root, all with the time `mtimeSeconds`. */
export function tarGz(entries: readonly ArchiveEntry[], mtimeSeconds: number): Uint8Array {
  const blocks = entries.flatMap(({ path, content, isExecutable }) => [
    header(path, content.length, isExecutable ? 0o755 : 0o644, mtimeSeconds),
    content,
    new Uint8Array((BLOCK - (content.length % BLOCK)) % BLOCK),
  ]);
  // Two empty blocks end the archive. node:zlib writes no name and no time into the gzip header.
  return gzipSync(Buffer.concat([...blocks, new Uint8Array(2 * BLOCK)]), { level: constants.Z_BEST_COMPRESSION });
}

function header(path: string, size: number, mode: number, mtimeSeconds: number): Uint8Array {
  if (Buffer.byteLength(path) > LONGEST_NAME) throw new Error(`The path is too long for a tar archive: ${path}`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;
  block.write(path, 0);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(mtimeSeconds, 12), 136);
  block.write(" ".repeat(8), 148);
  block.write("0", 156);
  block.write("ustar\x0000", 257);
  block.write("root", 265);
  block.write("root", 297);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
