import type { Message, RecentMessages } from "./recent-messages.ts";

/** A subscriber's filter; an undefined field matches everything. */
export interface EventFilter {
  readonly sessionId?: string;
  readonly types?: ReadonlySet<string>;
}

/** The server holds up to this much of a stream whose reader does not read. */
const CHUNK_BYTES = 64 * 1024;

/**
 * One reader of the stream: a place in the recent messages. Nothing is queued for a reader: the server takes the next
 * part when the socket has room for it. A reader that is not served within the memory of `recent` is cut off.
 */
export class StreamReader {
  readonly #recent: RecentMessages;
  readonly #filter: EventFilter;
  /** The id of the last message that this reader took, or does not want. */
  #place: number;
  /** The rest of the message at `#place`. */
  #rest: Uint8Array | null = null;
  /** What is sent before the next message and is none itself. */
  #asides: Uint8Array[];
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** Set while everything is sent. */
  #wake: (() => void) | null = null;
  #hasEnded = false;

  constructor(recent: RecentMessages, filter: EventFilter, place: number, first: readonly Uint8Array[]) {
    this.#recent = recent;
    this.#filter = filter;
    this.#place = place;
    this.#asides = [...first];
  }

  /** `onCancel` is called when the client leaves. */
  stream(onCancel: () => void): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: (controller) => this.#next(controller),
        cancel: onCancel,
      },
      { highWaterMark: 0 },
    );
  }

  /** Call after each new message. Returns false if the reader has fallen behind and was cut off. */
  advance(message: Message): boolean {
    if (this.#wake !== null && !this.#wants(message)) this.#place = message.id;
    else this.#rouse();
    if (this.#recent.reachesBackTo(this.#rest === null ? this.#place : this.#place - 1)) return true;
    // A client that does not read would keep open a stream that ends in order. Without a reason: Bun would print it.
    this.#finish((controller) => controller.error());
    return false;
  }

  /** Sends a comment, unless there is more to send anyway. */
  comment(text: Uint8Array): void {
    if (this.#wake === null) return;
    this.#asides.push(text);
    this.#rouse();
  }

  /** Ends the stream in order, after what was sent. */
  end(): void {
    this.#finish((controller) => controller.close());
  }

  #finish(how: (controller: ReadableStreamDefaultController<Uint8Array>) => void): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#rest = null;
    this.#asides = [];
    try {
      if (this.#controller !== null) how(this.#controller);
    } catch {
      // The client has cancelled the stream already.
    }
    this.#rouse();
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  async #next(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (!this.#hasEnded) {
      const part = this.#nextPart();
      if (part !== undefined) return controller.enqueue(part);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #nextPart(): Uint8Array | undefined {
    const aside = this.#asides.shift();
    if (aside !== undefined) {
      if (aside.byteLength > CHUNK_BYTES) this.#asides.unshift(aside.subarray(CHUNK_BYTES));
      return aside.subarray(0, CHUNK_BYTES);
    }
    const frame = this.#rest ?? this.#nextFrame();
    this.#rest = frame !== undefined && frame.byteLength > CHUNK_BYTES ? frame.subarray(CHUNK_BYTES) : null;
    return frame?.subarray(0, CHUNK_BYTES);
  }

  #nextFrame(): Uint8Array | undefined {
    while (this.#place < this.#recent.lastId) {
      const message = this.#recent.at(++this.#place);
      if (message !== undefined && this.#wants(message)) return message.frame;
    }
    return undefined;
  }

  #wants({ sessionId, type }: Message): boolean {
    const { sessionId: only, types } = this.#filter;
    return (only === undefined || only === sessionId) && (types === undefined || types.has(type));
  }
}
