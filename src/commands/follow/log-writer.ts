import { messageText, type SessionEvent } from "../../protocol/session.ts";
import type { CommandContext } from "../command-line/command.ts";
import { printable } from "../terminal/table.ts";

export type Stream = "events" | "stdout" | "stderr";

export interface LogWriterOptions {
  readonly isJson: boolean;
  /** Puts the stream's name before each line. */
  readonly isMarked: boolean;
  /** Lines and events to keep of the first read of each stream; null: all. */
  readonly tail: number | null;
}

/**
 * A longer line is written in pieces, so that output without a line end takes no more memory. As JSON, all pieces but
 * the last have `"continues": true`.
 */
const LINE_CHARACTERS = 1024 * 1024;

const MARKS = { stdout: "out", stderr: "err" } as const;

/**
 * Writes a run's output and events to stdout. On a terminal the text cannot control the terminal. Elsewhere a single
 * stream is written byte for byte if it is UTF-8.
 */
export class LogWriter {
  readonly #context: CommandContext;
  readonly #options: LogWriterOptions;
  /** The last line of each stream, while it has no line end. */
  readonly #rest = { stdout: "", stderr: "" };
  readonly #begun = new Set<Stream>();

  constructor(context: CommandContext, options: LogWriterOptions) {
    this.#context = context;
    this.#options = options;
  }

  get startsAtEnd(): boolean {
    return this.#options.tail !== null;
  }

  events(events: readonly SessionEvent[]): void {
    for (const event of this.#lastOf("events", events)) {
      if (this.#options.isJson) this.#context.print(JSON.stringify({ stream: "events", event }));
      else this.#context.print(lineOf(event));
    }
  }

  output(stream: "stdout" | "stderr", text: string): void {
    if (text === "") return;
    if (!this.#options.isJson && !this.#options.isMarked && !this.startsAtEnd) return this.#context.write(text);
    const lines = (this.#rest[stream] + text).split("\n");
    this.#rest[stream] = lines.pop() ?? "";
    for (const line of this.#lastOf(stream, lines)) this.#line(stream, line);
    if (this.#rest[stream].length < LINE_CHARACTERS) return;
    this.#line(stream, this.#rest[stream], { continues: true });
    this.#rest[stream] = "";
  }

  /** Writes the last lines without a line end. */
  end(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.#rest[stream] !== "") this.#line(stream, this.#rest[stream]);
      this.#rest[stream] = "";
    }
  }

  #line(stream: "stdout" | "stderr", line: string, more: { readonly continues?: true } = {}): void {
    if (this.#options.isJson) this.#context.print(JSON.stringify({ stream, line, ...more }));
    else this.#context.print(this.#options.isMarked ? `${MARKS[stream]}| ${line}` : line);
  }

  #lastOf<T>(stream: Stream, all: readonly T[]): readonly T[] {
    const { tail } = this.#options;
    if (tail === null || this.#begun.has(stream)) return all;
    if (all.length > 0) this.#begun.add(stream);
    return tail === 0 ? [] : all.slice(-tail);
  }
}

const SHOWN_CHARACTERS = 300;

/** One line per event, such as `12:03:04 message assistant: Done.` */
function lineOf(event: SessionEvent): string {
  const time = event.timestamp == null ? "--:--:--" : (/T(\d\d:\d\d:\d\d)/.exec(event.timestamp)?.[1] ?? "--:--:--");
  const line = printable([event.event_type, ...wordsOf(event)].join(" "));
  return `${time} ${line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line}`;
}

function wordsOf(event: SessionEvent): string[] {
  if (event.event_type === "message") return [`${event.role ?? "?"}: ${messageText(event)}`];
  if (event.tool_name != null)
    return [event.tool_name, event.error == null ? brief(event.tool_input) : `failed: ${event.error}`];
  return [event.reason, event.error, event.exit_code == null ? null : `exit code ${event.exit_code}`].filter(
    (word) => word != null,
  );
}

function brief(value: unknown): string {
  return value == null ? "" : typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}
