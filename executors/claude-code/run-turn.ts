import type { Options, Query, SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import { type Message, readMessage } from "./messages.ts";
import { type Cut, Turn } from "./turn.ts";

export interface TurnRequest {
  readonly prompt: string;
  readonly options: Options;
  /** How long the provider may give no sign of life, and background tasks may go on after the agent's turn; in ms, 0 is no limit. */
  readonly stallTimeoutMs: number;
  readonly backgroundWaitMs: number;
  readonly signal: AbortSignal;
  /** Told each message, before the turn has taken note of it. Must not throw, and is not waited for. */
  readonly onMessage: (message: Message, turn: Turn) => void;
}

/** From a cut to closing: an interrupted Claude Code says what it has within milliseconds. */
const INTERRUPT_MS = 1_000;
/** From a cut to giving it up: closing takes 2 s where Claude Code does not go by itself. All within a stop's grace of 5 s. */
const GIVE_UP_MS = 3_700;
/** After the last result; it ends within a tenth of a second. */
const LEAVE_MS = 15_000;
/** After a background task has ended Claude Code goes on by itself, at once, with its input still open for our answers. */
const GO_ON_MS = 3_000;

/**
 * Runs Claude Code until it has ended and resolves to what it has shown of itself; never rejects for what happens to it. Its input stays open
 * until it is through: questions about permissions and an interrupt reach it that way only.
 */
export async function runTurn(request: TurnRequest): Promise<Turn> {
  const { query } = await import("@anthropic-ai/claude-agent-sdk");
  const turn = new Turn();
  const inputEnd = Promise.withResolvers<void>();
  const running = query({ prompt: input(request.prompt, inputEnd.promise), options: request.options });
  using watch = new Watch(request, turn, running, inputEnd.resolve);
  await Promise.race([follow(running, request, turn, watch), watch.givenUp]);
  return turn;
}

async function* input(prompt: string, end: Promise<void>): AsyncGenerator<SDKUserMessage> {
  yield { type: "user", message: { role: "user", content: prompt }, parent_tool_use_id: null };
  await end;
}

async function follow(running: Query, { onMessage }: TurnRequest, turn: Turn, watch: Watch): Promise<void> {
  try {
    for await (const raw of running) {
      const message = readMessage(raw);
      onMessage(message, turn);
      turn.observe(message);
      watch.look(message);
    }
  } catch (error) {
    // After a result that is an error the stream throws as well: the result has been noted by then, and counts.
    turn.thrown = error;
  }
}

/**
 * What a turn is at, from message to message. `working`: the agent works, and something has to come of it within the stall time-out, unless a
 * tool runs. `waiting`: it has given its result, but tasks of its go on in the background. `over`: the result stands; only leaving is left.
 * `cut`: ended before its time. Claude Code may go from `waiting` and `over` back to `working` by itself: a task has ended, and it answers that.
 */
type Phase = "working" | "waiting" | "over" | "cut";

class Watch implements Disposable {
  readonly givenUp: Promise<void>;
  readonly #request: TurnRequest;
  readonly #turn: Turn;
  readonly #running: Query;
  readonly #endInput: () => void;
  readonly #giveUp: () => void;
  readonly #onStop = (): void => (this.#phase === "over" ? this.#running.close() : this.#cut("stopped"));
  #phase: Phase = "working";
  #timer: Timer | undefined;
  #giveUpTimer: Timer | undefined;

  constructor(request: TurnRequest, turn: Turn, running: Query, endInput: () => void) {
    this.#request = request;
    this.#turn = turn;
    this.#running = running;
    this.#endInput = endInput;
    const givenUp = Promise.withResolvers<void>();
    this.givenUp = givenUp.promise;
    this.#giveUp = givenUp.resolve;
    this.#enter("working");
    request.signal.addEventListener("abort", this.#onStop, { once: true });
    if (request.signal.aborted) this.#onStop();
  }

  look(message: Message): void {
    const { result, background, limit } = this.#turn;
    if (this.#phase === "cut") {
      // The interrupted turn has said what there is to say.
      if (result !== null) this.#endInput();
      return;
    }
    if (this.#turn.areCredentialsRefused) return this.#cut("credentials-refused");
    if (message.kind === "retry" && limit?.isRejected) return this.#cut("usage-limit");
    const phase = result === null ? "working" : background.length > 0 ? "waiting" : "over";
    if (phase !== this.#phase || (phase === "working" && isProgress(message))) this.#enter(phase);
  }

  #enter(phase: Exclude<Phase, "cut">): void {
    this.#phase = phase;
    switch (phase) {
      case "working":
        return this.#after(this.#request.stallTimeoutMs, () =>
          this.#turn.toolsRunning > 0 ? this.#enter("working") : this.#cut("stalled"),
        );
      case "waiting":
        return this.#after(this.#request.backgroundWaitMs, () => this.#cut("background"));
      case "over":
        if (!this.#turn.usedBackground) return this.#leave();
        return this.#after(GO_ON_MS, () => this.#leave());
    }
  }

  #leave(): void {
    this.#endInput();
    this.#after(LEAVE_MS, () => this.#running.close());
  }

  #cut(reason: Cut): void {
    this.#phase = "cut";
    this.#turn.cut = reason;
    this.#running.interrupt().catch(() => {});
    this.#after(INTERRUPT_MS, () => this.#running.close());
    this.#giveUpTimer = setTimeout(this.#giveUp, GIVE_UP_MS);
  }

  /** 0 ms is never. There is one thing at a time that is waited for. */
  #after(ms: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = ms === 0 ? undefined : setTimeout(act, ms);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#giveUpTimer);
    this.#request.signal.removeEventListener("abort", this.#onStop);
    this.#running.close();
  }
}

/** Claude Code gives an answer that does not come up by itself, again and again, and says so: that is no sign of life of the provider's. */
function isProgress({ kind }: Message): boolean {
  return kind !== "other" && kind !== "retry" && kind !== "answer";
}
