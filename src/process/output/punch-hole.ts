import { dlopen, FFIType } from "bun:ffi";
import { C_LIBRARIES } from "../c-library.ts";

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

type Fallocate = (fd: number, mode: number, offset: number, length: number) => number;
let fallocate: Fallocate | null | undefined;

/**
 * Frees the disk space of `length` bytes from `offset`; the file keeps its size. Returns false if it cannot (only
 * Linux can).
 */
export function punchHole(fd: number, offset: number, length: number): boolean {
  fallocate ??= loadFallocate();
  return fallocate?.(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) === 0;
}

function loadFallocate(): Fallocate | null {
  if (process.platform !== "linux") return null;
  for (const library of C_LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        fallocate: { args: [FFIType.i32, FFIType.i32, FFIType.i64, FFIType.i64], returns: FFIType.i32 },
      });
      return symbols.fallocate;
    } catch {
      // Tries the next C library.
    }
  }
  return null;
}
