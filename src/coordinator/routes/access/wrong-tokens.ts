import type { Log } from "../../../log.ts";
import { Refusal } from "../../store/refusal.ts";

const LOG_EVERY_MS = 60_000;
/** A client with an old token gets its answer at once. */
const FREE_PER_MINUTE = 5;
const HOLD_MS = 1_000;
/** Together with HOLD_MS the limit of guesses per second. */
const MAX_HELD = 50;

/** Slows down clients that guess the token, and logs their number once a minute. */
export class WrongTokens implements Disposable {
  readonly #log: Log;
  readonly #holdMs: number;
  readonly #logEveryMs: number;
  readonly #held = new Set<{ readonly timer: ReturnType<typeof setTimeout>; readonly release: () => void }>();
  #count = 0;
  #inThisMinute = 0;
  #lastAddress = "";
  #minute: ReturnType<typeof setInterval> | undefined;

  constructor(log: Log, holdMs = HOLD_MS, logEveryMs = LOG_EVERY_MS) {
    this.#log = log;
    this.#holdMs = holdMs;
    this.#logEveryMs = logEveryMs;
  }

  /** Resolves when the wrong token may be answered. Throws a Refusal if too many wait. */
  async hold(address: string): Promise<void> {
    this.#count++;
    this.#lastAddress = address;
    if (this.#minute === undefined) {
      this.#logCount();
      this.#minute = setInterval(() => this.#endMinute(), this.#logEveryMs);
      this.#minute.unref();
    }
    if (++this.#inThisMinute <= FREE_PER_MINUTE) return;
    if (this.#held.size >= MAX_HELD) throw new Refusal("throttled", "Too many requests with a wrong token");
    await new Promise<void>((resolve) => {
      const held = { timer: setTimeout(() => held.release(), this.#holdMs), release: () => {} };
      held.release = () => (clearTimeout(held.timer), this.#held.delete(held), resolve());
      this.#held.add(held);
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#minute);
    if (this.#count > 0) this.#logCount();
    for (const { release } of this.#held) release();
  }

  #endMinute(): void {
    this.#inThisMinute = 0;
    if (this.#count > 0) return this.#logCount();
    clearInterval(this.#minute);
    this.#minute = undefined;
  }

  #logCount(): void {
    const count = this.#count;
    this.#count = 0;
    this.#log.warn(`Requests with a wrong token: ${count}, the last from ${this.#lastAddress}`);
  }
}
