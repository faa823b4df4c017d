/** What a dashboard is told of; see protocol section 1b for the payloads. `run_ended {run_id, session_id, status}` is ours, and comes after each end. */
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

/** What a reader wants of it all; undefined is everything. */
export interface Wanted {
  readonly sessionId?: string;
  readonly types?: ReadonlySet<string>;
}

interface Subscriber {
  readonly wanted: Wanted;
  readonly send: (text: string) => void;
  readonly end: () => void;
}

const RING_MESSAGES = 1_000;
const RING_CHARACTERS = 16 * 1024 * 1024;
/** A reader this far behind is cut off; it comes back with Last-Event-ID. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;

/** Server-sent events to every dashboard, with a bounded memory of the last ones for those that come back. */
export class Broadcast {
  readonly #subscribers = new Set<Subscriber>();
  readonly #ring: Message[] = [];
  #ringCharacters = 0;
  readonly #heartbeat: Timer;
  /** Begins at the present time, so that an id from before a restart is known to be older than the memory. */
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
      if (isWanted(message, subscriber.wanted)) subscriber.send(message.frame);
    }
  }

  /**
   * A stream of what happens from now on, to all sessions or to one, of all types or of some. It begins with what came after `lastEventId`, or with
   * `init` where that is wanted or where what was missed is no longer known.
   */
  subscribe(options: {
    wanted: Wanted;
    lastEventId?: number;
    includeInit: boolean;
    init: () => unknown;
    signal: AbortSignal;
  }): Response {
    const missed = options.lastEventId === undefined ? [] : this.#since(options.lastEventId);
    const wantsInit = missed === undefined || (options.includeInit && options.lastEventId === undefined);
    let subscriber: Subscriber | undefined;
    const leave = (): void => void (subscriber && this.#subscribers.delete(subscriber));
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          subscriber = this.#join(controller, options.wanted, leave);
          controller.enqueue(bytes(": connected\n\n"));
          if (wantsInit) controller.enqueue(bytes(frame("init", this.#lastId, options.init())));
          for (const message of missed ?? []) {
            if (isWanted(message, options.wanted)) controller.enqueue(bytes(message.frame));
          }
          options.signal.addEventListener("abort", leave, { once: true });
        },
        cancel: leave,
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_BACKLOG_BYTES }),
    );
    const { types } = options.wanted;
    return new Response(stream, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        // By this a client knows a coordinator that has obeyed from one that does not know `types`.
        ...(types === undefined ? {} : { "x-event-types": [...types].join(",") }),
      },
    });
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const subscriber of this.#subscribers) subscriber.end();
    this.#subscribers.clear();
  }

  #join(controller: ReadableStreamDefaultController<Uint8Array>, wanted: Wanted, leave: () => void): Subscriber {
    const end = (): void => {
      leave();
      try {
        controller.close();
      } catch {
        // It was cancelled by the client already.
      }
    };
    const send = (text: string): void => {
      if ((controller.desiredSize ?? 0) <= 0) end();
      else controller.enqueue(bytes(text));
    };
    const subscriber = { wanted, send, end };
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

  /** The messages after `id`, or undefined where some of them are forgotten. */
  #since(id: number): Message[] | undefined {
    if (id > this.#lastId) return undefined;
    const oldest = this.#ring[0]?.id ?? this.#lastId + 1;
    return id < oldest - 1 ? undefined : this.#ring.filter((message) => message.id > id);
  }
}

function isWanted(message: Message, { sessionId, types }: Wanted): boolean {
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
