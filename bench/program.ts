import { openSync } from "node:fs";

/** A process that a scene started. */
export interface Program {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** The lines of stdout, with `wantsLines` only. */
  readonly lines: LineReader;
  signal(signal: NodeJS.Signals): void;
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The file for stderr, and for stdout unless `wantsLines`. */
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

/** Delivers lines as they arrive, each with its arrival time. */
export class LineReader {
  readonly #name: string;
  readonly #listeners = new Set<(line: string, atMs: number) => void>();
  #partial = "";

  constructor(name: string) {
    this.#name = name;
  }

  follow(stream: ReadableStream<Uint8Array>): void {
    const decoder = new TextDecoder();
    const read = async (): Promise<void> => {
      for await (const chunk of stream) this.#push(decoder.decode(chunk, { stream: true }));
    };
    // After a broken stream no line arrives, so next() rejects at its deadline.
    read().catch(() => {});
  }

  /** Calls `listener` for every line from now on. Returns the function that unsubscribes. */
  subscribe(listener: (line: string, atMs: number) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves to the first non-null result of `match`, with the line's arrival time. Rejects after two minutes. */
  next<T>(match: (line: string) => T | null): Promise<{ value: T; atMs: number }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no matching line from ${this.#name} for 2 min`)), DEADLINE_MS);
      const unsubscribe = this.subscribe((line, atMs) => {
        const value = match(line);
        if (value === null) return;
        clearTimeout(timer);
        unsubscribe();
        resolve({ value, atMs });
      });
    });
  }

  #push(text: string): void {
    const atMs = performance.now();
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) for (const listener of this.#listeners) listener(line, atMs);
  }
}
