/** A longer line is cut off, so that a program that never ends its line cannot use up all memory. */
const MAX_LINE_BYTES = 256 * 1024 * 1024;
const LINE_FEED = 10;

/** Splits a stream of bytes into lines. Time and memory grow linearly with the length of a line. */
export class Lines {
  readonly #take: (line: string) => void;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(take: (line: string) => void) {
    this.#take = take;
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
    if (part.length === 0 || this.#bytes + part.length > MAX_LINE_BYTES) return;
    this.#parts.push(part);
    this.#bytes += part.length;
  }
}
