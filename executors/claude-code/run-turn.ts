import { describeError } from "../../src/errors.ts";
import { ClaudeProcess } from "./claude-process.ts";
import type { Launch } from "./launch.ts";
import { type Message, readMessage } from "./messages.ts";
import { findObstacle, type Obstacle } from "./preflight.ts";
import { type AbortReason, Turn } from "./turn.ts";
import type { UserMessage } from "./user-message.ts";

export interface TurnRequest {
  readonly message: UserMessage;
  readonly launch: Launch;
  /** The MCP servers without which the agent does not begin. */
  readonly requiredServers: readonly string[];
  /** Maximum time without a sign of life from the provider; 0: no limit. */
  readonly stallTimeoutMs: number;
  /** Maximum time for background tasks after the agent's turn; 0: no limit. */
  readonly backgroundWaitMs: number;
  readonly signal: AbortSignal;
  /** Called with each message before `turn` observes it. Must not throw. */
  readonly onMessage: (message: Message, turn: Turn) => void;
  /** Called with Claude Code's stderr. Must not throw. */
  readonly onStderr: (text: string) => void;
}

/** From abort to close: an interrupted Claude Code sends its partial result within milliseconds. */
const INTERRUPT_MS = 1_000;
/** From abort to giving up: closing takes 2.2 s if Claude Code does not end by itself. All within a stop's 5 s. */
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
  const turn = new Turn();
  try {
    using claude = new ClaudeProcess(request.launch);
    await follow(claude, request, turn);
  } catch (error) {
    turn.obstacle = { kind: "start", reason: describeError(error) };
    turn.abortReason = "blocked";
  }
  return turn;
}

/** Never rejects. */
async function follow(claude: ClaudeProcess, request: TurnRequest, turn: Turn): Promise<void> {
  using watch = new Watch(request, turn, claude);
  void findObstacle(claude, request).then((obstacle) => (obstacle === null ? watch.begin() : watch.blocked(obstacle)));
  const following = claude.follow({
    onMessage: (raw) => {
      const message = readMessage(raw);
      request.onMessage(message, turn);
      turn.observe(message);
      watch.observe(message);
    },
    onUnreadable: (line) => turn.observeUnreadable(line),
    onStderr: request.onStderr,
  });
  const ended = following.then(
    (reason) => void (turn.thrown = reason),
    (error: unknown) => void (turn.thrown = new Error(describeError(error))),
  );
  await Promise.race([ended, watch.givenUp]);
}

/**
 * The phases of a turn:
 * - `starting`: the prompt is not sent yet. Each question of `findObstacle` has its own time-out.
 * - `working`: the agent works. Without progress within the stall time-out the turn is aborted, unless a tool runs.
 * - `waiting`: there is a result, but background tasks continue.
 * - `over`: there is a final result; Claude Code only has to end.
 * - `aborted`: the executor ended the turn early.
 * When a background task ends, Claude Code may answer it and so return from `waiting` or `over` to `working`.
 */
type Phase = "starting" | "working" | "waiting" | "over" | "aborted";

class Watch implements Disposable {
  readonly givenUp: Promise<void>;
  readonly #request: TurnRequest;
  readonly #turn: Turn;
  readonly #claude: ClaudeProcess;
  readonly #giveUp: () => void;
  readonly #onStop = (): void => (this.#phase === "over" ? this.#claude.close() : this.#abort("stopped"));
  #phase: Phase = "starting";
  #timer: Timer | undefined;
  #giveUpTimer: Timer | undefined;

  constructor(request: TurnRequest, turn: Turn, claude: ClaudeProcess) {
    this.#request = request;
    this.#turn = turn;
    this.#claude = claude;
    const givenUp = Promise.withResolvers<void>();
    this.givenUp = givenUp.promise;
    this.#giveUp = givenUp.resolve;
    request.signal.addEventListener("abort", this.#onStop, { once: true });
    if (request.signal.aborted) this.#onStop();
  }

  observe(message: Message): void {
    const { result, background, limit } = this.#turn;
    if (this.#phase === "aborted") {
      // The interrupted turn has sent its result; Claude Code needs no more input.
      if (result !== null) this.#claude.endInput();
      return;
    }
    if (this.#phase === "starting" && result === null) return;
    if (this.#turn.areCredentialsRefused) return this.#abort("credentials-refused");
    if (message.kind === "retry" && limit?.isRejected) return this.#abort("usage-limit");
    const phase = result === null ? "working" : background.length > 0 ? "waiting" : "over";
    if (phase !== this.#phase || (phase === "working" && isProgress(message))) this.#enter(phase);
  }

  /** Sends the prompt, unless the turn is over already. */
  begin(): void {
    if (this.#phase !== "starting") return;
    this.#claude.send(this.#request.message);
    this.#enter("working");
  }

  /** Ends the turn before the prompt is sent. */
  blocked(obstacle: Obstacle): void {
    if (this.#phase !== "starting") return;
    this.#turn.obstacle = obstacle;
    this.#abort("blocked");
  }

  #enter(phase: Exclude<Phase, "starting" | "aborted">): void {
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
    this.#claude.endInput();
    this.#after(EXIT_MS, () => this.#claude.close());
  }

  #abort(reason: AbortReason): void {
    this.#phase = "aborted";
    this.#turn.abortReason = reason;
    this.#claude.request("interrupt").catch(() => {});
    this.#after(INTERRUPT_MS, () => this.#claude.close());
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
  }
}

/**
 * Whether a message is a sign of life from the provider. Retries of Claude Code and the start of an answer are none.
 */
function isProgress({ kind }: Message): boolean {
  return kind !== "other" && kind !== "retry" && kind !== "answer-start";
}
