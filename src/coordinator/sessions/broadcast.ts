import type { Store } from "../store/store.ts";
import { RecentMessages } from "./recent-messages.ts";
import { type EventFilter, StreamReader } from "./stream-reader.ts";

/**
 * The types of events on the stream, with the payloads of `docs/protocol.md`, section 1b. `run_ended` is this project's
 * addition and follows the end of every run.
 */
export type BroadcastType =
  | "init"
  | "session_created"
  | "session_updated"
  | "session_deleted"
  | "event"
  | "run_failed"
  | "run_ended";

const HEARTBEAT = bytes(": heartbeat\n\n");
const CONNECTED = bytes(": connected\n\n");

/**
 * Sends server-sent events to every subscriber, and replays the last ones to a subscriber that reconnects. A frame is
 * encoded once. Its memory is that of the recent messages, however many subscribers there are and however slow.
 */
export class Broadcast {
  /** Each with the name of its token; null without one. */
  readonly #readers = new Map<StreamReader, string | null>();
  readonly #recent = new RecentMessages();
  readonly #heartbeat: Timer;
  readonly #store: Pick<Store, "write">;
  #isClosed = false;

  constructor(store: Pick<Store, "write">, heartbeatMs: number) {
    this.#store = store;
    this.#heartbeat = setInterval(() => {
      for (const reader of this.#readers.keys()) reader.comment(HEARTBEAT);
    }, heartbeatMs);
  }

  send(type: BroadcastType, sessionId: string, data: unknown): void {
    this.sendJson(type, sessionId, JSON.stringify(data));
  }

  sendJson(type: BroadcastType, sessionId: string, data: string): void {
    const message = this.#recent.add(type, sessionId, (id) => frame(type, id, data));
    for (const reader of this.#readers.keys()) if (!reader.advance(message)) this.#readers.delete(reader);
  }

  /**
   * Streams future events that match `filter`, after a replay of the events since `lastEventId`. Without `lastEventId`,
   * starts with `init` if `includeInit`. If missed events are too old to be replayed, always starts with `init`. Resets
   * the connection of a subscriber that reads too slowly; it reconnects with `lastEventId`.
   */
  async subscribe(options: {
    owner: string | null;
    filter: EventFilter;
    lastEventId?: number;
    includeInit: boolean;
    init: () => Promise<unknown>;
    signal: AbortSignal;
  }): Promise<ReadableStream<Uint8Array>> {
    const { lastEventId, filter, init } = options;
    const isReplayed = lastEventId !== undefined && this.#recent.reachesBackTo(lastEventId);
    const sendsInit = lastEventId === undefined ? options.includeInit : !isReplayed;
    const { lastId, first } = sendsInit
      ? await this.#opening(init)
      : { lastId: this.#recent.lastId, first: [CONNECTED] };
    const reader = new StreamReader(this.#recent, filter, isReplayed ? lastEventId : lastId, first);
    const leave = (): void => {
      this.#readers.delete(reader);
      reader.end();
    };
    this.#readers.set(reader, options.owner);
    options.signal.addEventListener("abort", leave, { once: true });
    if (options.signal.aborted || this.#isClosed) leave();
    return reader.stream(leave);
  }

  /** A snapshot and its place in the stream. In a transaction: no message is sent between the two. */
  #opening(init: () => Promise<unknown>): Promise<{ lastId: number; first: Uint8Array[] }> {
    return this.#store.write(async () => {
      const { lastId } = this.#recent;
      return { lastId, first: [CONNECTED, frame("init", lastId, JSON.stringify(await init()))] };
    });
  }

  /** Ends the streams of a token. */
  endOf(owner: string): void {
    for (const [reader, name] of this.#readers) {
      if (name !== owner) continue;
      this.#readers.delete(reader);
      reader.end();
    }
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#heartbeat);
    for (const reader of this.#readers.keys()) reader.end();
    this.#readers.clear();
  }
}

function frame(type: BroadcastType, id: number, data: string): Uint8Array {
  return bytes(`event: ${type}\nid: ${id}\ndata: ${data}\n\n`);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
