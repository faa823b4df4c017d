import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { punchHole } from "./punch-hole.ts";

/** The part of a file that is kept when it has outgrown its bound, as a share of the bound. */
const KEPT_SHARE = 0.75;
const PAGE = 4096;

/**
 * One output stream of an executor: an append-mode file that the executor writes to by itself. The runner only looks at it, so
 * a flood fills no memory here and a grandchild that holds the stream delays nothing. The descriptor stays open: the output can
 * be read to its end even if the executor deletes the file.
 */
export class RunOutput {
  readonly fd: number;
  readonly #limitBytes: number;
  /** Everything before this offset has been given back to the disk. */
  #droppedBytes = 0;

  /** `continued`: the file of an executor that another start of the runner began; what it wrote stays. */
  constructor(path: string, limitBytes: number, options: { continued: boolean } = { continued: false }) {
    const flags =
      constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (options.continued ? 0 : constants.O_TRUNC);
    this.fd = openSync(path, flags, 0o600);
    this.#limitBytes = limitBytes;
  }

  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** The size now, in bytes, holes included. */
  size(): number {
    const { size } = fstatSync(this.fd);
    // The executor may empty its own output.
    if (size < this.#droppedBytes) this.#droppedBytes = 0;
    return size;
  }

  /** Drops the oldest part if the file has outgrown its bound. The writer is not disturbed. Returns the size, holes included. */
  bound(): number {
    const size = this.size();
    if (this.#limitBytes <= 0 || size - this.#droppedBytes <= this.#limitBytes) return size;
    const keepFrom = Math.floor((size - this.#limitBytes * KEPT_SHARE) / PAGE) * PAGE;
    if (punchHole(this.fd, this.#droppedBytes, keepFrom - this.#droppedBytes)) {
      this.#droppedBytes = keepFrom;
      return size;
    }
    // No holes on this system: an append-mode writer goes on at the new end after a truncation.
    this.#droppedBytes = 0;
    try {
      ftruncateSync(this.fd, 0);
      writeSync(this.fd, `[agent-runner: ${size} bytes of output dropped here]\n`);
    } catch {
      // A disk that is full even for that: the next look bounds it.
    }
    return this.size();
  }

  /** Up to `maxBytes` from `offset`; shorter at the end of the file. */
  read(offset: number, maxBytes: number): Buffer {
    const buffer = Buffer.allocUnsafe(maxBytes);
    return buffer.subarray(0, readSync(this.fd, buffer, 0, maxBytes, offset));
  }

  /**
   * The end of the output as text, at most `maxBytes`, without trailing white space. Where it had to be cut, it begins at the start
   * of a line if there is one. Bytes that are not UTF-8 become U+FFFD.
   */
  tail(maxBytes: number): string {
    const size = this.size();
    const start = Math.max(this.#droppedBytes, size - maxBytes);
    const bytes = this.read(start, size - start);
    return (start === 0 ? bytes : fromLineStart(bytes)).toString("utf8").trimEnd();
  }

  close(): void {
    closeSync(this.fd);
  }
}

function fromLineStart(bytes: Buffer): Buffer {
  const newline = bytes.indexOf(0x0a);
  if (newline >= 0 && newline < bytes.length - 1) return bytes.subarray(newline + 1);
  let start = 0;
  // Not into the middle of a character: 10xxxxxx continues one.
  while (start < Math.min(3, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start);
}
