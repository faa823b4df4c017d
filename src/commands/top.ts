import { loadConfig } from "../config/load-config.ts";
import { describeError, ExitCode } from "../errors.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { asking, connect } from "./wiring/connect.ts";
import { LogWriter } from "./follow/log-writer.ts";
import { RunLog } from "./logs.ts";
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
/** What is not a terminal has no end. */
const PIPED = { columns: 200, lines: 1_000 };
/** Head, headings and foot. */
const FRAME_LINES = 4;
const LINES_KEPT = 2_000;

export const topCommand: Command = {
  name: "top",
  description:
    "Shows runs, the tree of sessions and runners as they change; a run can be followed and stopped. ? shows the keys. Where stdout is not a terminal it shows them once.",
  args: { ...coordinatorOptions, ...commonOptions },
  examples: [
    ["agent-runner top", "watch; q quits"],
    ["agent-runner top -c http://coordinator:8765", "another coordinator"],
    ["agent-runner top | head -20", "how it stands, once; for scripts: agent-runner runs --json"],
  ],
  async run(args, context) {
    const config = loadConfig(args, context.env);
    const client = connect(config);
    const data = await asking(client, readTop(client));
    if (!context.isTerminal || process.stdin.isTTY !== true) {
      context.print(
        screenOf({ ...START, data }, { ...PIPED, lines: data.runs.length + FRAME_LINES }, Date.now())
          .slice(0, -1)
          .map(({ text }) => text.trimEnd())
          .join("\n"),
      );
      return ExitCode.ok;
    }
    await asking(client, new Top({ context, client, config, data }).run());
    return ExitCode.ok;
  },
};

interface TopOptions {
  readonly context: CommandContext;
  readonly client: ReturnType<typeof connect>;
  readonly config: ReturnType<typeof loadConfig>;
  readonly data: TopState["data"];
}

/** The screen, and what its keys do. */
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
    // Whatever goes wrong ends it in the one way in which the terminal is given back.
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
    const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
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
        followed: { runId, lines: [...this.#state.followed.lines, ...text.split("\n")].slice(-LINES_KEPT) },
      });
    };
    const shown: CommandContext = {
      ...context,
      write: add,
      print: add,
      note: add,
      hasReader: () => !following.signal.aborted,
      isTerminal: true,
    };
    const writer = new LogWriter(shown, { isJson: false, isMarked: true, tail: LINES_KEPT });
    try {
      const ended = await new RunLog({
        client,
        config,
        streams: ["events", "stdout", "stderr"],
        writer,
        context: shown,
      }).follow(await client.run(runId));
      if (ended !== null) add(`The run has ended: ${ended.status}`);
    } catch (error) {
      add(describeError(error));
    }
  }
}
