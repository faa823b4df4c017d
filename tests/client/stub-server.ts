/** One recorded request. */
export interface Received {
  readonly method: string;
  /** Path and query, unparsed. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface StubServer extends AsyncDisposable {
  readonly url: string;
  readonly received: Received[];
}

/** A real HTTP server that records each request and sends the result of `answer`. */
export function stubServer(answer: (received: Received, request: Request) => Response | Promise<Response>): StubServer {
  const received: Received[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const url = request.url.slice(new URL(request.url).origin.length);
      const one = { method: request.method, url, headers: request.headers, body: await request.text() };
      received.push(one);
      return answer(one, request);
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, received, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** A TCP server that calls `onData` for every connection, for answers that no HTTP server sends. */
export function rawServer(onData: (socket: Bun.Socket) => void): { url: string } & Disposable {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: onData } });
  return { url: `http://127.0.0.1:${listener.port}`, [Symbol.dispose]: () => listener.stop(true) };
}
