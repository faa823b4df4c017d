import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Config } from "../../config/load-config.ts";
import { isTerminal, type Run } from "../../protocol/run.ts";
import type { CommandContext } from "../command-line/command.ts";
import { outageNote } from "../terminal/watch.ts";
import type { LogWriter, Stream } from "./log-writer.ts";
import { RunEvents } from "./run-events.ts";
import { RunOutputSource } from "./run-output-source.ts";

const READ_EVERY_MS = 500;

export interface RunLogOptions {
  readonly client: CoordinatorClient;
  readonly config: Config;
  readonly streams: readonly Stream[];
  readonly writer: LogWriter;
  readonly context: CommandContext;
}

/** The output and events of a run, each once and in order. */
export class RunLog {
  readonly #options: RunLogOptions;
  /** Null: the next read starts at the end of the output. */
  #offsets: { stdout: number; stderr: number } | null = null;
  #lastNote = "";
  #isOver = false;
  #isAway = false;

  constructor(options: RunLogOptions) {
    this.#options = options;
  }

  /** The runner with the output did not answer the last read, so some of the output is missing. */
  get isAway(): boolean {
    return this.#isAway;
  }

  async show(run: Run): Promise<void> {
    const { client, streams, writer } = this.#options;
    if (streams.includes("events")) writer.events(await new RunEvents(client, run.session_id).next());
    await this.#output(this.#source(run));
    writer.end();
  }

  /**
   * Follows the run to the end of its last attempt. Resolves to null if the reader is gone. Waits out an outage of
   * the coordinator.
   */
  async follow(first: Run): Promise<Run | null> {
    const { client, streams, writer, context } = this.#options;
    const events = new RunEvents(client, first.session_id);
    let run = first;
    let source = this.#source(run);
    while (context.hasReader()) {
      try {
        // Reads the status before the output: the output of a run that has ended is then complete.
        run = await client.run(run.run_id);
        if (streams.includes("events")) writer.events(await events.next());
        await this.#output(source);
        if (isTerminal(run.status) && run.retried_by == null) {
          writer.end();
          return run;
        }
        if (run.retried_by != null) {
          context.note(`Run ${run.run_id} failed; run ${run.retried_by} retries it`);
          run = await client.run(run.retried_by);
          source = this.#source(run);
          this.#reset();
          continue;
        }
      } catch (error) {
        const failure = failureOfThrown("logs", error);
        if (!failure.isRetryable) throw error;
        this.#note(outageNote(failure));
      }
      await delay(READ_EVERY_MS);
    }
    return null;
  }

  #source(run: Run): RunOutputSource {
    const { client, config } = this.#options;
    return new RunOutputSource(client, run.run_id, config);
  }

  /** The next attempt is a run with its own output. */
  #reset(): void {
    this.#offsets = null;
    this.#isOver = false;
    this.#lastNote = "";
  }

  /** Writes the output up to its size at the first read, so that a run that never stops writing does not block this. */
  async #output(source: RunOutputSource): Promise<void> {
    const { streams, writer, context } = this.#options;
    if (!streams.some((stream) => stream !== "events") || this.#isOver) return;
    this.#offsets ??= writer.startsAtEnd ? null : { stdout: 0, stderr: 0 };
    let goal: { readonly stdout: number; readonly stderr: number } | null = null;
    for (;;) {
      const read = await source.read(this.#offsets);
      this.#isAway = read.kind === "none" && read.isAway;
      if (read.kind === "none") {
        this.#isOver = read.isOver;
        return this.#note(read.reason);
      }
      const { stdout, stderr } = read.parts;
      if (streams.includes("stdout")) writer.output("stdout", stdout.text);
      if (streams.includes("stderr")) writer.output("stderr", stderr.text);
      goal ??= { stdout: stdout.size, stderr: stderr.size };
      const isShort = stdout.to < goal.stdout || stderr.to < goal.stderr;
      const hasMoved = stdout.to !== this.#offsets?.stdout || stderr.to !== this.#offsets?.stderr;
      this.#offsets = { stdout: stdout.to, stderr: stderr.to };
      if (!isShort || !hasMoved || !context.hasReader()) return;
    }
  }

  #note(text: string): void {
    if (text === this.#lastNote) return;
    this.#lastNote = text;
    this.#options.context.note(text);
  }
}
