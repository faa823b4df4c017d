import { createRun, eventOf, postJson } from "./calls.ts";
import type { Figure } from "./figure.ts";
import { type Rounds, summarise, interleave } from "./statistics.ts";

const CLIENTS = 200;

/** The time until an event has reached all of 200 dashboards. */
export async function fanOutFigure(coordinatorUrl: string, limitUrl: string, rounds: Rounds): Promise<Figure> {
  const { session_id: sessionId } = await createRun(coordinatorUrl);
  const event = eventOf(sessionId);
  const frame = `event: event\nid: 1234567890123456\ndata: ${JSON.stringify({ data: event })}\n\n`;
  using dashboards = await StreamReaders.connect(new URL(`${coordinatorUrl}/sse/sessions?include_init=false`));
  using readers = await StreamReaders.connect(new URL(`${limitUrl}/stream`));
  const [measured = [], limit = []] = await interleave(
    rounds,
    () => dashboards.timeToAll(() => postJson(`${coordinatorUrl}/sessions/${sessionId}/events`, event)),
    () => readers.timeToAll(() => fetch(`${limitUrl}/fan-out`, { method: "POST", body: frame })),
  );
  return {
    item: "coordinator",
    what: `an event to ${CLIENTS} SSE clients`,
    unit: "ms",
    better: "lower",
    measured: summarise(measured),
    limit: summarise(limit),
    limitIs: `a bare server that writes the same bytes to ${CLIENTS} open streams, until the last reader has them`,
  };
}

/** Readers of event streams. Uses plain sockets: Bun's fetch allows at most 256 requests in flight. */
class StreamReaders implements Disposable {
  readonly #sockets: Bun.Socket[] = [];
  readonly #received = new Set<Bun.Socket>();
  #expected = "";
  #onAll: (() => void) | undefined;

  static async connect(url: URL): Promise<StreamReaders> {
    const readers = new StreamReaders();
    const connected = readers.#all(": connected");
    const request = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`;
    while (readers.#sockets.length < CLIENTS) readers.#sockets.push(await readers.#open(url, request));
    await connected;
    return readers;
  }

  /** Milliseconds from `send` until every reader has the event. */
  async timeToAll(send: () => Promise<unknown>): Promise<number> {
    const all = this.#all("event: event");
    const startMs = performance.now();
    const sent = send();
    await all;
    const ms = performance.now() - startMs;
    await sent;
    return ms;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  /** Resolves when every reader has received `expected`. */
  #all(expected: string): Promise<void> {
    this.#received.clear();
    this.#expected = expected;
    return new Promise((resolve) => (this.#onAll = resolve));
  }

  #open(url: URL, request: string): Promise<Bun.Socket> {
    return Bun.connect({
      hostname: url.hostname,
      port: Number(url.port),
      socket: {
        open: (socket) => void socket.write(request),
        data: (socket, data) => {
          if (!data.includes(this.#expected)) return;
          this.#received.add(socket);
          if (this.#received.size === CLIENTS) this.#onAll?.();
        },
      },
    });
  }
}
