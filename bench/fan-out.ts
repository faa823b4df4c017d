import { createRun, eventOf, postJson } from "./calls.ts";
import type { Figure } from "./figure.ts";
import { type Rounds, summarise, takeTurns } from "./statistics.ts";

const CLIENTS = 200;

/** How long it takes until an event has reached all of 200 dashboards. */
export async function fanOutFigure(coordinatorUrl: string, limitUrl: string, rounds: Rounds): Promise<Figure> {
  const { session_id: sessionId } = await createRun(coordinatorUrl);
  const event = eventOf(sessionId);
  const frame = `event: event\nid: 1234567890123456\ndata: ${JSON.stringify({ data: event })}\n\n`;
  using dashboards = await Audience.of(new URL(`${coordinatorUrl}/sse/sessions?include_init=false`));
  using readers = await Audience.of(new URL(`${limitUrl}/stream`));
  const [measured = [], limit = []] = await takeTurns(
    rounds,
    () => dashboards.hear(() => postJson(`${coordinatorUrl}/sessions/${sessionId}/events`, event)),
    () => readers.hear(() => fetch(`${limitUrl}/fan-out`, { method: "POST", body: frame })),
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

/** Open streams, and when all of them have brought an event. Plain sockets: fetch has no more than 256 requests open at once. */
class Audience implements Disposable {
  readonly #sockets: Bun.Socket[] = [];
  readonly #heard = new Set<Bun.Socket>();
  #wanted = "";
  #onAll: (() => void) | undefined;

  static async of(url: URL): Promise<Audience> {
    const audience = new Audience();
    const connected = audience.#all(": connected");
    const request = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`;
    while (audience.#sockets.length < CLIENTS) audience.#sockets.push(await audience.#open(url, request));
    await connected;
    return audience;
  }

  async hear(send: () => Promise<unknown>): Promise<number> {
    const all = this.#all("event: event");
    const begunMs = performance.now();
    const sent = send();
    await all;
    const ms = performance.now() - begunMs;
    await sent;
    return ms;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  /** Resolves when every stream has brought `wanted`. */
  #all(wanted: string): Promise<void> {
    this.#heard.clear();
    this.#wanted = wanted;
    return new Promise((resolve) => (this.#onAll = resolve));
  }

  #open(url: URL, request: string): Promise<Bun.Socket> {
    return Bun.connect({
      hostname: url.hostname,
      port: Number(url.port),
      socket: {
        open: (socket) => void socket.write(request),
        data: (socket, data) => {
          if (!data.includes(this.#wanted)) return;
          this.#heard.add(socket);
          if (this.#heard.size === CLIENTS) this.#onAll?.();
        },
      },
    });
  }
}
