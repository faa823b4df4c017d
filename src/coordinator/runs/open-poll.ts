import type { Waiter } from "../runners/poll-waiters.ts";

/** What a look found. */
export interface Found<Answer> {
  readonly answer: Answer;
  /** Call if the answer cannot be given any more. */
  readonly takeBack?: () => Promise<void>;
  /** Call when the answer is given. */
  readonly given?: () => void;
}

export interface OpenPollParts<Answer> {
  readonly runnerId: string;
  readonly offer: Waiter["offer"];
  /** Aborted when the client has closed the connection. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Null: nothing to deliver. `isOver` tells whether the poll has ended meanwhile. */
  readonly look: (isOver: () => boolean) => Promise<Found<Answer> | null>;
  /** When to look again by itself, in ms; null: not. */
  readonly nextLookMs: () => number | null;
  /** Of any look but the first, whose fault is the poll's. */
  readonly onFault: (error: unknown) => void;
  /** Called once, as the poll ends. */
  readonly onEnd: (poll: Waiter) => void;
}

/**
 * A poll that waits. It looks when it is woken, one look at a time: a wake-up during a look makes it look once more.
 * What a look brings after the end of the poll is taken back.
 */
export class OpenPoll<Answer> implements Waiter {
  readonly runnerId: string;
  readonly offer: Waiter["offer"];
  readonly #parts: OpenPollParts<Answer>;
  readonly #answer = Promise.withResolvers<Answer | null>();
  #isOver = false;
  #hasLooked = false;
  #looking: Promise<boolean> | null = null;
  #again: Promise<boolean> | null = null;
  #timeout: Timer | undefined;
  #timer: Timer | undefined;

  constructor(parts: OpenPollParts<Answer>) {
    this.#parts = parts;
    this.runnerId = parts.runnerId;
    this.offer = parts.offer;
  }

  /** Null: the poll has ended without an answer. Rejects if the first look failed. */
  get answer(): Promise<Answer | null> {
    return this.#answer.promise;
  }

  tryAnswer = (): Promise<boolean> => {
    if (this.#isOver) return Promise.resolve(false);
    if (this.#looking === null) return (this.#looking = this.#look());
    this.#again ??= this.#looking.then(() => {
      this.#again = null;
      return this.tryAnswer();
    });
    return this.#again;
  };

  end = (): void => {
    if (this.#isOver) return;
    this.#finish();
    // The server stops when its calls have ended: not before a look has taken back what it found.
    if (this.#looking === null) this.#answer.resolve(null);
  };

  async #look(): Promise<boolean> {
    clearTimeout(this.#timer);
    try {
      const found = await this.#parts.look(this.#hasEnded);
      if (found !== null && !this.#hasEnded()) {
        this.#finish();
        found.given?.();
        this.#answer.resolve(found.answer);
        return true;
      }
      await found?.takeBack?.();
    } catch (error) {
      this.#failed(error);
    }
    this.#looking = null;
    if (!this.#hasLooked) this.#wait();
    if (this.#isOver) this.#answer.resolve(null);
    else this.#lookLater();
    return false;
  }

  readonly #hasEnded = (): boolean => this.#isOver || this.#parts.signal.aborted;

  /** Most polls are answered by their first look, and need none of it. */
  #wait(): void {
    this.#hasLooked = true;
    const { signal, timeoutMs } = this.#parts;
    if (this.#hasEnded()) return this.end();
    signal.addEventListener("abort", this.end, { once: true });
    this.#timeout = setTimeout(this.end, timeoutMs);
  }

  #failed(error: unknown): void {
    if (this.#hasLooked) return this.#parts.onFault(error);
    this.#answer.reject(error);
    if (!this.#isOver) this.#finish();
  }

  #lookLater(): void {
    const ms = this.#parts.nextLookMs();
    if (ms !== null) this.#timer = setTimeout(() => void this.tryAnswer(), ms);
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#timeout);
    if (this.#hasLooked) this.#parts.signal.removeEventListener("abort", this.end);
    this.#parts.onEnd(this);
  }
}
