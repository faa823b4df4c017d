import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { punchHole } from "./punch-hole.ts";

/** The share of its limit that a file keeps when it is trimmed. */
const KEPT_SHARE = 0.75;
const PAGE = 4096;

/**
 * One output stream of an executor: an append-mode file that the executor itself writes to. The runner only reads it.
 * So a flood fills no memory of the runner, and a descendant that holds the stream open delays nothing. The
 * descriptor stays open, so the output can be read to its end even if the executor deletes the file.
 */
export class RunOutput {
  readonly fd: number;
  readonly #limitBytes: number;
  /** Everything before this offset is dropped, its disk space freed. */
  #droppedBytes = 0;

  /** `continued`: keeps the content, for the file of an adopted executor. */
  constructor(path: string, limitBytes: number, options: { continued: boolean } = { continued: false }) {
    const flags =
      constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (options.continued ? 0 : constants.O_TRUNC);
    this.fd = openSync(path, flags, 0o600);
    this.#limitBytes = limitBytes;
  }

  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** The current size in bytes, including holes. */
  size(): number {
    const { size } = fstatSync(this.fd);
    // A smaller file means that the executor emptied it.
    if (size < this.#droppedBytes) this.#droppedBytes = 0;
    return size;
  }

  /**
   * Drops the oldest part if the file exceeds its limit, without disturbing the writer. Returns the size, including
   * holes.
   */
  trim(): number {
    const size = this.size();
    if (this.#limitBytes <= 0 || size - this.#droppedBytes <= this.#limitBytes) return size;
    const keepFrom = Math.floor((size - this.#limitBytes * KEPT_SHARE) / PAGE) * PAGE;
    if (punchHole(this.fd, this.#droppedBytes, keepFrom - this.#droppedBytes)) {
      this.#droppedBytes = keepFrom;
      return size;
    }
    // This system has no holes. After a truncation, an append-mode writer continues at the new end.
    this.#droppedBytes = 0;
    try {
      ftruncateSync(this.fd, 0);
      writeSync(this.fd, `[agent-runner: ${size} bytes of output dropped here]\n`);
    } catch {
      // The disk is too full for the notice. The next check trims again.
    }
    return this.size();
  }

  /** Reads `maxBytes` from `offset`, or fewer at the end of the file. */
  read(offset: number, maxBytes: number): Buffer {
    const buffer = Buffer.allocUnsafe(maxBytes);
    return buffer.subarray(0, readSync(this.fd, buffer, 0, maxBytes, offset));
  }

  /**
   * The end of the output as text, at most `maxBytes`, without trailing white space. A shortened text begins at the
   * start of a line if it contains one. Bytes that are not UTF-8 become U+FFFD.
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
  // Skips the rest of a character that was cut (10xxxxxx).
  while (start < Math.min(3, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start);
}
