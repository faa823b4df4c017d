import type { CommandContext } from "../command-line/command.ts";
import { harmlessText } from "../../harmless-text.ts";
import type { Line, Size, Tone } from "./top-view.ts";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const COLOURS: Readonly<Record<Tone, string>> = {
  running: "\x1b[36m",
  waiting: "\x1b[33m",
  failed: "\x1b[31m",
  plain: "",
  head: "\x1b[1m",
  chosen: "\x1b[7m",
  alert: "\x1b[1;31m",
  quiet: "\x1b[2m",
};
/** Keeps the chosen row visible without colours. */
const WITHOUT_COLOURS: Partial<Record<Tone, string>> = { chosen: "\x1b[7m", head: "\x1b[1m" };

/** The whole terminal. Disposing restores it, whatever happens. */
export class TerminalScreen implements Disposable {
  readonly #context: CommandContext;
  readonly #hasColours: boolean;
  readonly #onData: (data: Buffer) => void;
  readonly #onResize: () => void;
  #shown: readonly string[] = [];

  constructor(
    context: CommandContext,
    options: { readonly onKeys: (text: string) => void; readonly onResize: () => void },
  ) {
    this.#context = context;
    this.#hasColours = !context.env["NO_COLOR"];
    this.#onData = (data) => options.onKeys(data.toString("utf8"));
    this.#onResize = () => {
      this.#shown = [];
      options.onResize();
    };
    process.stdin.setRawMode?.(true);
    process.stdin.on("data", this.#onData);
    process.stdout.on("resize", this.#onResize);
    context.draw(ENTER);
  }

  get size(): Size {
    return { columns: process.stdout.columns || 80, lines: process.stdout.rows || 24 };
  }

  /** Writes the lines that have changed. */
  show(lines: readonly Line[]): void {
    const next = lines.map(({ text, tone }) => this.#painted(text, tone));
    const changed = next.flatMap((line, i) => (line === this.#shown[i] ? [] : [`\x1b[${i + 1};1H${line}\x1b[K`]));
    if (changed.length > 0) this.#context.draw(changed.join(""));
    this.#shown = next;
  }

  [Symbol.dispose](): void {
    process.stdin.off("data", this.#onData);
    process.stdin.setRawMode?.(false);
    process.stdin.pause();
    process.stdout.off("resize", this.#onResize);
    this.#context.draw(LEAVE);
  }

  #painted(text: string, tone: Tone): string {
    const colour = (this.#hasColours ? COLOURS[tone] : WITHOUT_COLOURS[tone]) ?? "";
    const line = harmlessText(text).replace(/\s/g, " ");
    return colour === "" ? line : `${colour}${line}\x1b[0m`;
  }
}
