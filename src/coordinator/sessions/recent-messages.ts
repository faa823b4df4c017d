/** One message of the stream, encoded once for all its readers. */
export interface Message {
  readonly id: number;
  readonly type: string;
  readonly sessionId: string;
  readonly frame: Uint8Array;
}

const MAX_MESSAGES = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The last messages, from which every reader is served: the one budget of memory for all of them. The ids have no gaps.
 */
export class RecentMessages {
  readonly #messages: Message[] = [];
  #bytes = 0;
  /** Starts at the current time: an id from before a restart is then older than any message here. */
  #lastId = Date.now() * 1_000;

  get lastId(): number {
    return this.#lastId;
  }

  /** Whether all messages after `id` are still here. */
  reachesBackTo(id: number): boolean {
    return id <= this.#lastId && id >= this.#oldest - 1;
  }

  add(type: string, sessionId: string, frameOf: (id: number) => Uint8Array): Message {
    const message = { id: this.#lastId + 1, type, sessionId, frame: frameOf(this.#lastId + 1) };
    this.#lastId = message.id;
    this.#messages.push(message);
    this.#bytes += message.frame.byteLength;
    while (this.#messages.length > MAX_MESSAGES || this.#bytes > MAX_BYTES) {
      this.#bytes -= this.#messages.shift()?.frame.byteLength ?? 0;
    }
    return message;
  }

  /** The message with this id; undefined if it was dropped, or is still to come. */
  at(id: number): Message | undefined {
    return this.#messages[id - this.#oldest];
  }

  get #oldest(): number {
    return this.#lastId - this.#messages.length + 1;
  }
}
