/** A longer line is cut off, so that a program that never ends its line cannot use up all memory. */
const MAX_LINE_BYTES = 256 * 1024 * 1024;
const LINE_FEED = 10;

/** Splits a stream of bytes into lines. Time and memory grow linearly with the length of a line. */
export class Lines {
  readonly #take: (line: string) => void;
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(take: (line: string) => void, maxBytes = MAX_LINE_BYTES) {
    this.#take = take;
    this.#maxBytes = maxBytes;
  }

  add(chunk: Uint8Array): void {
    let begin = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, begin)) {
      this.#append(chunk.subarray(begin, end));
      this.end();
      begin = end + 1;
    }
    this.#append(chunk.subarray(begin));
  }

  /** Takes the last line, which may lack its line feed. */
  end(): void {
    const line = Buffer.concat(this.#parts, this.#bytes).toString("utf8");
    this.#parts = [];
    this.#bytes = 0;
    if (line.trim() !== "") this.#take(line);
  }

  #append(part: Uint8Array): void {
    const kept = part.subarray(0, this.#maxBytes - this.#bytes);
    if (kept.length === 0) return;
    this.#parts.push(kept);
    this.#bytes += kept.length;
  }
}
