import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Fault, NO_FAULT } from "./fault.ts";
import { type RawRequest, RequestReader } from "./request-reader.ts";

/** A request that reached the coordinator. `status` is null if the coordinator did not answer (it was killed, say). */
export interface Delivery {
  readonly method: string;
  readonly target: string;
  readonly status: number | null;
}

const BAD_GATEWAY = answerOf("502 Bad Gateway", "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>");
/** The maximum number of pauses in a trickle, for an answer of any length. */
const TRICKLE_PIECES = 40;

/**
 * A TCP proxy between a runner and its coordinator, both on this machine, that injects faults. Keeps the runner's
 * connections open like a real server, and closes those to the coordinator when the runner disconnects. Does not
 * support streams.
 */
export class FaultProxy implements AsyncDisposable {
  readonly deliveries: Delivery[] = [];
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #held = new Set<Socket>();
  readonly #coordinatorPort: number;
  #faultOf: (request: RawRequest) => Fault = () => NO_FAULT;

  private constructor(coordinatorPort: number) {
    this.#coordinatorPort = coordinatorPort;
    this.#server = createServer((client) => void this.#serve(client));
  }

  static async start(coordinatorPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(coordinatorPort);
    await new Promise<void>((resolve, reject) => proxy.#server.once("error", reject).listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Injects the fault that `faultOf` chooses into each request from now on. */
  inject(faultOf: (request: RawRequest) => Fault): void {
    this.#faultOf = faultOf;
  }

  /** Injects no more faults, and closes half-open connections. */
  calm(): void {
    this.#faultOf = () => NO_FAULT;
    for (const client of this.#held) client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const client of this.#clients) client.destroy();
    await closed;
  }

  async #serve(client: Socket): Promise<void> {
    this.#clients.add(client);
    client.on("error", () => {});
    client.once("close", () => this.#clients.delete(client));
    const reader = new RequestReader(client);
    for (let request = await reader.next(); request !== null; request = await reader.next()) {
      await this.#pass(client, request, this.#faultOf(request));
    }
  }

  async #pass(client: Socket, request: RawRequest, fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "drop-before":
        client.destroy();
        return;
      case "half-open":
        this.#held.add(client);
        await Promise.race([Bun.sleep(fault.ms), new Promise((resolve) => client.once("close", resolve))]);
        this.#held.delete(client);
        client.destroy();
        return;
      case "delay":
        await Bun.sleep(fault.ms);
        break;
      case "garbage":
      case "bad-gateway":
        if (fault.isDelivered) await this.#deliver(client, request);
        client.write(fault.kind === "garbage" ? answerOf("200 OK", "application/json", fault.body) : BAD_GATEWAY);
        return;
    }
    const answer = await this.#deliver(client, request);
    if (answer === null || fault.kind === "drop-after") client.destroy();
    else await send(client, answer, fault);
  }

  /** Returns the coordinator's complete answer; null if there was none, or the client disconnected. */
  async #deliver(client: Socket, request: RawRequest): Promise<Buffer | null> {
    if (client.destroyed) return null;
    const bytes = await exchange(this.#coordinatorPort, request, client);
    if (bytes === undefined) return null;
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(bytes.toString("latin1", 0, 20))?.[1] ?? Number.NaN);
    this.deliveries.push({
      method: request.method,
      target: request.target,
      status: Number.isNaN(status) ? null : status,
    });
    return bytes.length === 0 ? null : withoutClose(bytes);
  }
}

/** Returns what the coordinator sent until it closed the connection; undefined if it could not be reached. */
function exchange(port: number, request: RawRequest, client: Socket): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const chunks: Buffer[] = [];
  let isConnected = false;
  const upstream = connect(port, "127.0.0.1", () => {
    isConnected = true;
    const headers = request.headers.replace(/^connection:.*\r\n/im, "");
    upstream.write(Buffer.concat([Buffer.from(`${headers}\r\nConnection: close\r\n\r\n`, "latin1"), request.body]));
  });
  const hangUp = (): void => void upstream.destroy();
  client.once("close", hangUp);
  upstream.on("data", (bytes: Buffer) => chunks.push(bytes));
  upstream.on("error", () => {});
  upstream.once("close", () => {
    client.off("close", hangUp);
    resolve(isConnected ? Buffer.concat(chunks) : undefined);
  });
  return promise;
}

async function send(client: Socket, answer: Buffer, fault: Fault): Promise<void> {
  switch (fault.kind) {
    case "reset":
    case "truncate":
      await new Promise<void>((resolve) =>
        client.write(answer.subarray(0, Math.ceil(answer.length / 2)), () => resolve()),
      );
      if (fault.kind === "reset") client.resetAndDestroy();
      else client.destroy();
      return;
    case "trickle": {
      const piece = Math.ceil(answer.length / TRICKLE_PIECES);
      for (let at = 0; at < answer.length && !client.destroyed; at += piece) {
        client.write(answer.subarray(at, at + piece));
        await Bun.sleep(fault.pauseMs);
      }
      return;
    }
    default:
      if (!client.destroyed) client.write(answer);
  }
}

/** Removes `connection: close`: the runner's connection stays open. */
function withoutClose(answer: Buffer): Buffer {
  const end = answer.indexOf("\r\n\r\n");
  const headers = answer.toString("latin1", 0, end).replace(/\r\nconnection: close/i, "");
  return Buffer.concat([Buffer.from(headers, "latin1"), answer.subarray(end)]);
}

function answerOf(status: string, type: string, body: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
