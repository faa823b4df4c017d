import { BINARY } from "./binary.ts";
import { until } from "./until.ts";
import { GATE_MARK } from "./gate-mark.ts";

export interface TerminalOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly lines?: number;
}

/**
 * The compiled binary on a real pseudo-terminal, with its screen. Interprets only the escape sequences that the
 * program uses.
 */
export class TerminalProgram implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly #terminal: Bun.Terminal;
  /** The complete output. */
  raw = "";

  constructor(args: readonly string[], { cwd, env, columns = 80, lines = 24 }: TerminalOptions) {
    const decoder = new TextDecoder();
    this.#terminal = new Bun.Terminal({
      cols: columns,
      rows: lines,
      data: (_, data) => void (this.raw += decoder.decode(data, { stream: true })),
    });
    this.#child = Bun.spawn([BINARY, ...args], {
      cwd,
      env: { ...GATE_MARK, PATH: process.env["PATH"] ?? "", TERM: "xterm-256color", ...env },
      terminal: this.#terminal,
    });
  }

  get exited(): Promise<number> {
    return this.#child.exited;
  }

  type(keys: string): void {
    this.#terminal.write(keys);
  }

  resize(columns: number, lines: number): void {
    this.#terminal.resize(columns, lines);
    // The system sends SIGWINCH only for a controlling terminal, which this is not.
    this.#child.kill("SIGWINCH");
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The visible lines of the screen. */
  screen(): string[] {
    const lines: string[] = [];
    let at = 0;
    // oxlint-disable-next-line no-control-regex
    for (const [, sequence, text] of this.raw.matchAll(/(\x1b\[[?0-9;]*[A-Za-z])|([^\x1b]+)/g)) {
      // oxlint-disable-next-line no-control-regex
      const row = /^\x1b\[(\d+);1H$/.exec(sequence ?? "")?.[1];
      if (row !== undefined) {
        at = Number(row) - 1;
        lines[at] = "";
      } else if (sequence === "\x1b[H" || sequence === "\x1b[2J") {
        at = 0;
        lines.length = 0;
      } else if (text !== undefined) {
        for (const [i, part] of text.replaceAll("\r", "").split("\n").entries()) {
          if (i > 0) lines[++at] = "";
          lines[at] = (lines[at] ?? "") + part;
        }
      }
    }
    return Array.from(lines, (line) => line ?? "");
  }

  async shows(pattern: RegExp, deadlineMs?: number): Promise<string> {
    return until(
      () => `${pattern} on the screen, which shows:\n${this.screen().join("\n")}`,
      () => this.screen().find((line) => pattern.test(line)),
      deadlineMs,
    );
  }

  /** Waits for the end of the output, which a busy machine brings after the end of the program. */
  async endsWith(text: string): Promise<void> {
    await until(
      () => `${JSON.stringify(text)} at the end of ${JSON.stringify(this.raw)}`,
      () => this.raw.endsWith(text),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
    await this.#child.exited;
    this.#terminal.close();
  }
}
