import { errorCode } from "../../errors.ts";

/**
 * The program's stdout or stderr. Not node's stream of that name: that one costs as much start-up time as the rest of the runtime, and 2.6 MB
 * of memory. This one is opened by its first text. Nothing here throws: a reader that goes away (`| head`) is no fault of ours, and nothing
 * more can be written then.
 */
export class Output {
  readonly #open: () => Bun.FileSink;
  #sink: Bun.FileSink | undefined;
  #isDiskFull = false;
  #hasReader = true;

  constructor(open: () => Bun.FileSink) {
    this.#open = open;
  }

  /** Something could not be written for want of room. */
  get isDiskFull(): boolean {
    return this.#isDiskFull;
  }

  /** False once the reader has gone away: whoever writes on and on has nobody to write for. */
  get hasReader(): boolean {
    return this.#hasReader;
  }

  /** Returns at once, whether there is a reader or not; what a pipe does not take yet is kept. */
  write(text: string): void {
    const sink = (this.#sink ??= this.#open());
    void this.#attempt(() => sink.write(text));
    void this.#attempt(() => sink.flush());
  }

  /** Resolves when the system has taken all of it, or nobody ever will. */
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
