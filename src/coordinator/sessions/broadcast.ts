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

interface Message {
  readonly id: number;
  readonly type: BroadcastType;
  readonly sessionId: string;
  readonly frame: string;
}

/** A subscriber's filter; an undefined field matches everything. */
export interface EventFilter {
  readonly sessionId?: string;
  readonly types?: ReadonlySet<string>;
}

interface Subscriber {
  /** The name of the token; null without one. */
  readonly owner: string | null;
  readonly filter: EventFilter;
  readonly send: (text: string) => void;
  readonly end: () => void;
}

const RING_MESSAGES = 1_000;
const RING_CHARACTERS = 16 * 1024 * 1024;
/** Disconnects a subscriber this far behind; it reconnects with Last-Event-ID. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;

/** Sends server-sent events to every subscriber, and replays the last ones to a subscriber that reconnects. */
export class Broadcast {
  readonly #subscribers = new Set<Subscriber>();
  readonly #ring: Message[] = [];
  #ringCharacters = 0;
  readonly #heartbeat: Timer;
  /** Starts at the current time: an id from before a restart is then older than anything in the ring. */
  #lastId = Date.now() * 1_000;

  constructor(heartbeatMs: number) {
    this.#heartbeat = setInterval(() => {
      for (const subscriber of this.#subscribers) subscriber.send(": heartbeat\n\n");
    }, heartbeatMs);
  }

  send(type: BroadcastType, sessionId: string, data: unknown): void {
    const id = ++this.#lastId;
    const message = { id, type, sessionId, frame: frame(type, id, data) };
    this.#remember(message);
    for (const subscriber of this.#subscribers) {
      if (matches(message, subscriber.filter)) subscriber.send(message.frame);
    }
  }

  /**
   * Streams future events that match `filter`, after a replay of the events since `lastEventId`. Without `lastEventId`,
   * starts with `init` if `includeInit`. If the ring has dropped missed events, always starts with `init`.
   */
  subscribe(options: {
    owner: string | null;
    filter: EventFilter;
    lastEventId?: number;
    includeInit: boolean;
    init: () => unknown;
    signal: AbortSignal;
  }): ReadableStream<Uint8Array> {
    const missed = options.lastEventId === undefined ? [] : this.#since(options.lastEventId);
    const sendsInit = missed === undefined || (options.includeInit && options.lastEventId === undefined);
    let subscriber: Subscriber | undefined;
    const leave = (): void => void (subscriber && this.#subscribers.delete(subscriber));
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          subscriber = this.#join(controller, options, leave);
          controller.enqueue(bytes(": connected\n\n"));
          if (sendsInit) controller.enqueue(bytes(frame("init", this.#lastId, options.init())));
          for (const message of missed ?? []) {
            if (matches(message, options.filter)) controller.enqueue(bytes(message.frame));
          }
          options.signal.addEventListener("abort", leave, { once: true });
        },
        cancel: leave,
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_BACKLOG_BYTES }),
    );
  }

  /** Ends the streams of a token. */
  endOf(owner: string): void {
    for (const subscriber of this.#subscribers) if (subscriber.owner === owner) subscriber.end();
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const subscriber of this.#subscribers) subscriber.end();
    this.#subscribers.clear();
  }

  #join(
    controller: ReadableStreamDefaultController<Uint8Array>,
    { owner, filter }: Pick<Subscriber, "owner" | "filter">,
    leave: () => void,
  ): Subscriber {
    const end = (): void => {
      leave();
      try {
        controller.close();
      } catch {
        // The client has cancelled the stream already.
      }
    };
    const send = (text: string): void => {
      if ((controller.desiredSize ?? 0) <= 0) end();
      else controller.enqueue(bytes(text));
    };
    const subscriber = { owner, filter, send, end };
    this.#subscribers.add(subscriber);
    return subscriber;
  }

  #remember(message: Message): void {
    this.#ring.push(message);
    this.#ringCharacters += message.frame.length;
    while (this.#ring.length > RING_MESSAGES || this.#ringCharacters > RING_CHARACTERS) {
      this.#ringCharacters -= this.#ring.shift()?.frame.length ?? 0;
    }
  }

  /** The messages after `id`; undefined if the ring has dropped some of them. */
  #since(id: number): Message[] | undefined {
    if (id > this.#lastId) return undefined;
    const oldest = this.#ring[0]?.id ?? this.#lastId + 1;
    return id < oldest - 1 ? undefined : this.#ring.filter((message) => message.id > id);
  }
}

function matches(message: Message, { sessionId, types }: EventFilter): boolean {
  return (
    (sessionId === undefined || sessionId === message.sessionId) && (types === undefined || types.has(message.type))
  );
}

function frame(type: BroadcastType, id: number, data: unknown): string {
  return `event: ${type}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
