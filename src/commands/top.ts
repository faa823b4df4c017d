import { type Config, loadConfig } from "../config/load-config.ts";
import { describeError, ExitCode } from "../errors.ts";
import { heeded } from "../process/ignored-signals.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { connect } from "./wiring/connect.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { LogWriter } from "./follow/log-writer.ts";
import { RunLog } from "./follow/run-log.ts";
import { commonOptions, coordinatorOptions } from "./command-line/options.ts";
import { afterKey, type Effect, keysOf } from "./top/top-keys.ts";
import { keepReading } from "./top/live-data.ts";
import { TerminalScreen } from "./top/terminal-screen.ts";
import { NOTHING, readTop } from "./top/top-data.ts";
import { screenOf, type TopState } from "./top/top-view.ts";

const START: TopState = {
  data: NOTHING,
  view: "runs",
  chosen: null,
  isOpenOnly: false,
  showsHelp: false,
  asksToStop: null,
  message: "",
  awaySinceMs: null,
  followed: null,
};
/** Columns of a line in a pipe or a file. */
const PIPED_COLUMNS = 200;
/** Lines of head, headings and foot. */
const FRAME_LINES = 4;
const MAX_LOG_LINES = 2_000;

export const topCommand: Command = {
  name: "top",
  description: "Shows runs, the tree of sessions and runners live; follows and stops runs.",
  args: { ...coordinatorOptions, ...commonOptions },
  notes: ["? shows the keys, q quits.", "Without a terminal it prints the runs once."],
  examples: [
    ["agent-runner top", "Watch the default coordinator"],
    ["agent-runner top -c http://coordinator:8765", "Watch another coordinator"],
    ["agent-runner top | head -20", "Print the newest runs once; for scripts: agent-runner runs --json"],
  ],
  async run(args, context) {
    const config = loadConfig(args, context.env);
    const { client, ask } = connect(config, context);
    const data = await ask(readTop(client));
    if (!context.isTerminal || process.stdin.isTTY !== true) {
      const size = { columns: PIPED_COLUMNS, lines: data.runs.length + FRAME_LINES };
      const lines = screenOf({ ...START, data }, size, Date.now()).slice(0, -1);
      context.print(lines.map(({ text }) => text.trimEnd()).join("\n"));
      return ExitCode.ok;
    }
    await ask(new Top({ context, client, config, data }).run());
    return ExitCode.ok;
  },
};

interface TopOptions {
  readonly context: CommandContext;
  readonly client: CoordinatorClient;
  readonly config: Config;
  readonly data: TopState["data"];
}

/** Connects keyboard, coordinator and screen. */
class Top {
  readonly #options: TopOptions;
  readonly #quit = new AbortController();
  #state: TopState;
  #following: AbortController | null = null;

  constructor(options: TopOptions) {
    this.#options = options;
    this.#state = { ...START, data: options.data };
  }

  async run(): Promise<void> {
    const { context, client } = this.#options;
    const failed = Promise.withResolvers<never>();
    // Every error ends `run`, which restores the terminal.
    const guarded = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        failed.reject(error);
      }
    };
    using screen = new TerminalScreen(context, {
      onKeys: (text) => guarded(() => this.#onKeys(text)),
      onResize: () => draw(),
    });
    const draw = (): void => guarded(() => screen.show(screenOf(this.#state, screen.size, Date.now())));
    this.#draw = draw;
    const end = (): void => this.#quit.abort();
    const signals = heeded(["SIGTERM", "SIGINT", "SIGHUP"]);
    for (const signal of signals) process.once(signal, end);
    const ticking = setInterval(draw, 1_000);
    try {
      draw();
      const reading = keepReading({
        client,
        signal: this.#quit.signal,
        onData: (data) => this.#change({ data, awaySinceMs: null }),
        onAway: () => this.#change({ awaySinceMs: this.#state.awaySinceMs ?? Date.now() }),
      });
      await Promise.race([reading, failed.promise]);
    } finally {
      clearInterval(ticking);
      this.#quit.abort();
      this.#following?.abort();
      for (const signal of signals) process.off(signal, end);
    }
  }

  #draw: () => void = () => {};

  #change(changes: Partial<TopState>): void {
    this.#state = { ...this.#state, ...changes };
    if (!this.#quit.signal.aborted) this.#draw();
  }

  #onKeys(text: string): void {
    for (const key of keysOf(text)) {
      const { state, effect } = afterKey(this.#state, key, Date.now());
      this.#state = state;
      this.#do(effect);
    }
    this.#change({});
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case "none":
        return;
      case "quit":
        return this.#quit.abort();
      case "stop":
        return void this.#stop(effect.runId);
      case "follow":
        return void this.#follow(effect.runId);
      case "unfollow":
        return this.#following?.abort();
    }
  }

  async #stop(runId: string): Promise<void> {
    const message = await this.#options.client.stopRun(runId).then(
      ({ status }) => `${runId}: ${status ?? "stopping"}`,
      (error: unknown) => describeError(error),
    );
    this.#change({ message });
  }

  async #follow(runId: string): Promise<void> {
    const { client, config, context } = this.#options;
    const following = new AbortController();
    this.#following = following;
    const add = (text: string): void => {
      if (this.#state.followed?.runId !== runId || following.signal.aborted) return;
      this.#change({
        followed: { runId, lines: [...this.#state.followed.lines, ...text.split("\n")].slice(-MAX_LOG_LINES) },
      });
    };
    const logContext: CommandContext = {
      ...context,
      write: add,
      print: add,
      note: add,
      hasReader: () => !following.signal.aborted,
      isTerminal: true,
    };
    const writer = new LogWriter(logContext, { isJson: false, isMarked: true, tail: MAX_LOG_LINES });
    try {
      const ended = await new RunLog({
        client,
        config,
        streams: ["events", "stdout", "stderr"],
        writer,
        context: logContext,
      }).follow(await client.run(runId));
      if (ended !== null) add(`The run has ended: ${ended.status}`);
    } catch (error) {
      add(describeError(error));
    }
  }
}
