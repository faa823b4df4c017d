import { openSync } from "node:fs";

/** A process that a scene started. */
export interface Program {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** What it writes to stdout, a line at a time; only where the lines were asked for. */
  readonly lines: LineReader;
  signal(signal: NodeJS.Signals): void;
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where its output goes. Its stdout goes there only where nobody asked for the lines. */
  readonly logFile: string;
  readonly wantsLines: boolean;
}

export function startProgram(command: readonly string[], { cwd, env, logFile, wantsLines }: ProgramOptions): Program {
  const log = openSync(logFile, "a");
  const lines = new LineReader(`stdout of ${command[0]}`);
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...env },
    stdin: "ignore",
    stdout: wantsLines ? "pipe" : log,
    stderr: log,
  });
  if (child.stdout instanceof ReadableStream) lines.follow(child.stdout);
  return { pid: child.pid, exited: child.exited, lines, signal: (signal) => child.kill(signal) };
}

const DEADLINE_MS = 120_000;

/** Lines as they come, each with the moment at which it was read. */
export class LineReader {
  readonly #name: string;
  readonly #waiting = new Set<(line: string, atMs: number) => void>();
  #partial = "";

  constructor(name: string) {
    this.#name = name;
  }

  follow(stream: ReadableStream<Uint8Array>): void {
    const decoder = new TextDecoder();
    const read = async (): Promise<void> => {
      for await (const chunk of stream) this.#take(decoder.decode(chunk, { stream: true }));
    };
    // A stream that breaks is a line that does not come: whoever waits for it says so.
    read().catch(() => {});
  }

  /** Hands every line from now on to `take`, until the returned function is called. */
  listen(take: (line: string, atMs: number) => void): () => void {
    this.#waiting.add(take);
    return () => void this.#waiting.delete(take);
  }

  /** The next line for which `wanted` gives something true, as what it gives and when it came. Rejects if none comes for two minutes. */
  next<T>(wanted: (line: string) => T | null): Promise<{ value: T; atMs: number }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited in vain for a line from ${this.#name}`)), DEADLINE_MS);
      const stop = this.listen((line, atMs) => {
        const value = wanted(line);
        if (value === null) return;
        clearTimeout(timer);
        stop();
        resolve({ value, atMs });
      });
    });
  }

  #take(text: string): void {
    const atMs = performance.now();
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) for (const take of this.#waiting) take(line, atMs);
  }
}
