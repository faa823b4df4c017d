import { errorCode } from "../../errors.ts";
import { harmlessText } from "../../harmless-text.ts";

/**
 * The program's stdout or stderr, opened by its first text. Node's stream costs as much start-up time as the rest of
 * the runtime, and 2.6 MB of memory. Nothing here throws: a reader that closes the pipe (`| head`) is no error.
 */
export class Output {
  readonly #open: () => Bun.FileSink;
  readonly #descriptor: number;
  #isTerminal: boolean | undefined;
  #sink: Bun.FileSink | undefined;
  #isDiskFull = false;
  #hasReader = true;

  constructor(descriptor: number, open: () => Bun.FileSink) {
    this.#descriptor = descriptor;
    this.#open = open;
  }

  /** The disk was full, so some text was not written. */
  get isDiskFull(): boolean {
    return this.#isDiskFull;
  }

  /** False once the reader is gone; an endless writer checks this. */
  get hasReader(): boolean {
    return this.#hasReader;
  }

  /**
   * Writes text, wherever it comes from. It cannot control a terminal; a file or pipe gets it as it is. Returns at
   * once; text that a pipe does not take yet is buffered.
   */
  write(text: string): void {
    this.#isTerminal ??= isTerminal(this.#descriptor);
    this.draw(this.#isTerminal ? harmlessText(text) : text);
  }

  /** Writes text with this program's own colours and sequences. Text from outside must be made harmless before. */
  draw(text: string): void {
    const sink = (this.#sink ??= this.#open());
    void this.#attempt(() => sink.write(text));
    void this.#attempt(() => sink.flush());
  }

  /** Resolves when the system has taken all text, or the reader is gone. */
  async end(): Promise<void> {
    const sink = this.#sink;
    if (sink !== undefined) await this.#attempt(() => sink.end());
  }

  #attempt(step: () => number | Promise<number>): Promise<unknown> | undefined {
    try {
      const done = step();
      return typeof done === "number" ? undefined : done.catch((error: unknown) => this.#note(error));
    } catch (error) {
      this.#note(error);
      return undefined;
    }
  }

  #note(error: unknown): void {
    if (errorCode(error) === "ENOSPC") this.#isDiskFull = true;
    else this.#hasReader = false;
  }
}

/**
 * Whether the descriptor may be a terminal: the other character devices do no harm. Imports nothing: `node:tty` costs
 * more than a short command, and this file is loaded at each start of an executor.
 */
function isTerminal(descriptor: number): boolean {
  try {
    return process.getBuiltinModule("node:fs").fstatSync(descriptor).isCharacterDevice();
  } catch {
    // The descriptor is closed.
    return false;
  }
}
