import type { Options, Query, SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import { type Message, readMessage } from "./messages.ts";
import { findObstacle, type Obstacle } from "./preflight.ts";
import { type AbortReason, Turn } from "./turn.ts";

export interface TurnRequest {
  readonly message: SDKUserMessage;
  readonly options: Options;
  /** The MCP servers without which the agent does not begin. */
  readonly requiredServers: readonly string[];
  /** Maximum time without a sign of life from the provider; 0: no limit. */
  readonly stallTimeoutMs: number;
  /** Maximum time for background tasks after the agent's turn; 0: no limit. */
  readonly backgroundWaitMs: number;
  readonly signal: AbortSignal;
  /** Called with each message before `turn` observes it. Must not throw. */
  readonly onMessage: (message: Message, turn: Turn) => void;
}

/** From abort to close: an interrupted Claude Code sends its partial result within milliseconds. */
const INTERRUPT_MS = 1_000;
/** From abort to giving up: closing takes 2 s if Claude Code does not end by itself. All within a stop's 5 s. */
const GIVE_UP_MS = 3_700;
/** From the end of input to close. Claude Code normally ends within a tenth of a second. */
const EXIT_MS = 15_000;
/**
 * Keeps the input open after a result that follows background tasks: Claude Code may continue by itself and need
 * answers.
 */
const CONTINUE_MS = 3_000;

/**
 * Runs Claude Code to its end and resolves to the observed turn; a failure of Claude Code never rejects. Keeps its
 * input open until the turn is over: answers about permissions and an interrupt use that input.
 */
export async function runTurn(request: TurnRequest): Promise<Turn> {
  const { query } = await import("@anthropic-ai/claude-agent-sdk");
  const turn = new Turn();
  const mayBegin = Promise.withResolvers<boolean>();
  const inputEnd = Promise.withResolvers<void>();
  const prompt = input(request.message, mayBegin.promise, inputEnd.promise);
  const running = query({ prompt, options: request.options });
  using watch = new Watch(request, turn, running, inputEnd.resolve);
  void findObstacle(running, request.requiredServers, request.signal).then((obstacle) => {
    if (obstacle !== null) watch.blocked(obstacle);
    mayBegin.resolve(obstacle === null);
  });
  await Promise.race([follow(running, request, turn, watch), watch.givenUp]);
  return turn;
}

async function* input(
  message: SDKUserMessage,
  mayBegin: Promise<boolean>,
  end: Promise<void>,
): AsyncGenerator<SDKUserMessage> {
  if (!(await mayBegin)) return;
  yield message;
  await end;
}

async function follow(running: Query, { onMessage }: TurnRequest, turn: Turn, watch: Watch): Promise<void> {
  try {
    for await (const raw of running) {
      const message = readMessage(raw);
      onMessage(message, turn);
      turn.observe(message);
      watch.observe(message);
    }
  } catch (error) {
    // The stream throws after an error result too; `turn` has observed that result by then.
    turn.thrown = error;
  }
}

/**
 * The phases of a turn:
 * - `working`: the agent works. Without progress within the stall time-out the turn is aborted, unless a tool runs.
 * - `waiting`: there is a result, but background tasks continue.
 * - `over`: there is a final result; Claude Code only has to end.
 * - `aborted`: the executor ended the turn early.
 * When a background task ends, Claude Code may answer it and so return from `waiting` or `over` to `working`.
 */
type Phase = "working" | "waiting" | "over" | "aborted";

class Watch implements Disposable {
  readonly givenUp: Promise<void>;
  readonly #request: TurnRequest;
  readonly #turn: Turn;
  readonly #running: Query;
  readonly #endInput: () => void;
  readonly #giveUp: () => void;
  readonly #onStop = (): void => (this.#phase === "over" ? this.#running.close() : this.#abort("stopped"));
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

  observe(message: Message): void {
    const { result, background, limit } = this.#turn;
    if (this.#phase === "aborted") {
      // The interrupted turn has sent its result; Claude Code needs no more input.
      if (result !== null) this.#endInput();
      return;
    }
    if (this.#turn.areCredentialsRefused) return this.#abort("credentials-refused");
    if (message.kind === "retry" && limit?.isRejected) return this.#abort("usage-limit");
    const phase = result === null ? "working" : background.length > 0 ? "waiting" : "over";
    if (phase !== this.#phase || (phase === "working" && isProgress(message))) this.#enter(phase);
  }

  /** Ends the turn before the prompt is sent. */
  blocked(obstacle: Obstacle): void {
    if (this.#phase === "aborted") return;
    this.#turn.obstacle = obstacle;
    this.#abort("blocked");
  }

  #enter(phase: Exclude<Phase, "aborted">): void {
    this.#phase = phase;
    switch (phase) {
      case "working":
        return this.#after(this.#request.stallTimeoutMs, () =>
          this.#turn.toolsRunning > 0 ? this.#enter("working") : this.#abort("stalled"),
        );
      case "waiting":
        return this.#after(this.#request.backgroundWaitMs, () => this.#abort("background"));
      case "over":
        if (!this.#turn.usedBackground) return this.#end();
        return this.#after(CONTINUE_MS, () => this.#end());
    }
  }

  #end(): void {
    this.#endInput();
    this.#after(EXIT_MS, () => this.#running.close());
  }

  #abort(reason: AbortReason): void {
    this.#phase = "aborted";
    this.#turn.abortReason = reason;
    this.#running.interrupt().catch(() => {});
    this.#after(INTERRUPT_MS, () => this.#running.close());
    this.#giveUpTimer = setTimeout(this.#giveUp, GIVE_UP_MS);
  }

  /** Sets the only timer and replaces an earlier one. 0 ms: never. */
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

/**
 * Whether a message is a sign of life from the provider. Retries of Claude Code and the start of an answer are none.
 */
function isProgress({ kind }: Message): boolean {
  return kind !== "other" && kind !== "retry" && kind !== "answer-start";
}
