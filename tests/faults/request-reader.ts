import type { Socket } from "node:net";

/** One raw HTTP/1.1 request. */
export interface RawRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: string;
  readonly body: Buffer;
}

/**
 * Reads the requests of a connection one after the other. Supports only bodies with a Content-Length, as the runner
 * sends them.
 */
export class RequestReader {
  #buffer = Buffer.alloc(0);
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    socket.on("data", (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#wake();
    });
    socket.once("close", () => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  /** Null once the client has disconnected. */
  async next(): Promise<RawRequest | null> {
    for (;;) {
      const request = this.#take();
      if (request !== null) return request;
      if (this.#hasEnded) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #take(): RawRequest | null {
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end < 0) return null;
    const headers = this.#buffer.toString("latin1", 0, end);
    if (/^transfer-encoding:/im.test(headers)) throw new Error("the fault proxy supports no chunked requests");
    const length = Number(/^content-length:\s*(\d+)/im.exec(headers)?.[1] ?? 0);
    const bodyAt = end + 4;
    if (this.#buffer.length < bodyAt + length) return null;
    const [, method = "", target = ""] = /^(\S+) (\S+)/.exec(headers) ?? [];
    const body = this.#buffer.subarray(bodyAt, bodyAt + length);
    this.#buffer = this.#buffer.subarray(bodyAt + length);
    return { method, target, headers, body };
  }
}
