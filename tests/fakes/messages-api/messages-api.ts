import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as v from "valibot";
import { type History, historyOf } from "./history.ts";
import { messageEvents, wholeMessage } from "./message-events.ts";
import { type Refusal, refuses, type Reply } from "./reply.ts";
import { MessagesRequest } from "./request.ts";

/** Returns the assistant's next reply for a history; undefined once the script is over. */
export type Script = (history: History) => Reply | undefined;

/** One recorded request, without its credentials. */
export interface RecordedRequest {
  /** The id of Claude Code's session. */
  readonly sessionId: string;
  readonly history: History;
  /** The complete body, for tests that search it for secrets. */
  readonly body: string;
  readonly model: string;
  /** How the client authenticated. */
  readonly credential: "api-key" | "bearer" | "none";
  /** Open until the answer ends or the client disconnects. */
  state: "open" | "answered" | "abandoned" | "dropped";
}

/** A script with one step for each message of the assistant. */
export function inTurn(...steps: readonly (Reply | Script)[]): Script {
  return (history) => {
    const step = steps[history.replies];
    return typeof step === "function" ? step(history) : step;
  };
}

/**
 * A fake of the provider's Messages API on a real socket: `POST /v1/messages`, with or without a stream. Serves
 * several conversations at the same time, each identified by its first prompt. Refuses a request that no script
 * answers, and then throws when disposed.
 */
export class MessagesApi implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  /** Descriptions of the requests that no script answered. */
  readonly unscripted: string[] = [];
  readonly #conversations: { when: string; script: Script }[] = [];
  readonly #attempts = new Map<string, number>();
  readonly #server: Server = createServer((request, response) => {
    // The client disconnected in the middle of its request: there is nothing to record.
    this.#serve(request, response).catch(() => response.destroy());
  });

  static async start(): Promise<MessagesApi> {
    const api = new MessagesApi();
    await new Promise<void>((resolve, reject) => api.#server.once("error", reject).listen(0, "127.0.0.1", resolve));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /**
   * Sets the script for conversations whose first prompt contains `when`; "" matches all. The earliest matching script
   * wins.
   */
  conversation(when: string, script: Script): void {
    this.#conversations.push({ when, script });
  }

  requestsOf(when: string): RecordedRequest[] {
    return this.requests.filter(({ history }) => isAbout(history, when));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    if (this.unscripted.length > 0) throw new Error(`no script answers:\n${this.unscripted.join("\n")}`);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.url);
    const body = await textOf(request);
    const parsed =
      request.method === "POST" && pathname === "/v1/messages"
        ? v.safeParse(v.pipe(v.string(), v.parseJson(), MessagesRequest), body)
        : undefined;
    if (parsed?.success !== true) {
      this.unscripted.push(`${request.method} ${pathname} ${parsed === undefined ? "" : v.summarize(parsed.issues)}`);
      return refuse(response, refuses(404, "the fake has no such endpoint"));
    }
    const recorded = this.#record(request, body, parsed.output);
    response.once("close", () => {
      if (recorded.state === "open") recorded.state = response.writableFinished ? "answered" : "abandoned";
    });
    await this.#send(response, this.#replyTo(recorded), parsed.output, recorded);
  }

  #record({ headers }: IncomingMessage, body: string, parsed: MessagesRequest): RecordedRequest {
    const sessionId = String(headers["x-claude-code-session-id"] ?? "");
    // The first message belongs to the key, because a sub-agent has its parent's session.
    const key = `${sessionId} ${Bun.hash(JSON.stringify(parsed.messages[0]))} ${parsed.messages.length}`;
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    const credential =
      headers["x-api-key"] !== undefined ? "api-key" : headers.authorization !== undefined ? "bearer" : "none";
    const recorded: RecordedRequest = {
      sessionId,
      history: historyOf(parsed, attempt),
      body,
      model: parsed.model,
      credential,
      state: "open",
    };
    this.requests.push(recorded);
    return recorded;
  }

  #replyTo({ history }: RecordedRequest): Reply {
    const conversation = this.#conversations.find(({ when }) => isAbout(history, when));
    const reply = conversation?.script(history);
    if (reply !== undefined) return reply;
    this.unscripted.push(
      `${JSON.stringify(history.prompts)} after ${history.replies} replies and ${JSON.stringify(history.toolResults)}`,
    );
    return refuses(400, "no script answers this");
  }

  async #send(
    response: ServerResponse,
    reply: Reply,
    { model, stream }: MessagesRequest,
    recorded: RecordedRequest,
  ): Promise<void> {
    const drop = (): void => {
      recorded.state = "dropped";
      // `end` sends what was written before; `destroy` would discard it.
      response.socket?.end();
    };
    switch (reply.kind) {
      case "refusal":
        return refuse(response, reply);
      case "drop":
        return drop();
      case "stall":
        if (reply.where === "in-the-message")
          await streamUntil(response, { model, blocks: [], manner: {} }, ({ type }) => type !== "message_start");
        return;
      case "message": {
        const { blocks, manner } = reply;
        if (!stream) {
          await manner.after;
          const whole = JSON.stringify(wholeMessage({ model, blocks, manner }));
          response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(whole) });
          if (manner.cutAfterDeltas === undefined) response.end(whole);
          else response.write(whole.slice(0, 50), drop);
          return;
        }
        let deltas = 0;
        const isWhole = await streamUntil(
          response,
          { model, blocks, manner },
          ({ isDelta }) => isDelta && deltas++ === manner.cutAfterDeltas,
        );
        if (isWhole) response.end();
        else drop();
      }
    }
  }
}

/** Writes the message's events until `isOver`. Returns whether it wrote all of them. */
async function streamUntil(
  response: ServerResponse,
  message: Parameters<typeof messageEvents>[0],
  isOver: (event: { type: string; isDelta: boolean }) => boolean,
): Promise<boolean> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  let deltas = 0;
  for (const event of messageEvents(message)) {
    if (isOver(event)) return false;
    await new Promise((resolve) => response.write(event.frame, resolve));
    if (event.type === "message_start") await message.manner.after;
    if (event.isDelta) await message.manner.pause?.(++deltas);
    if (response.destroyed) return false;
  }
  return true;
}

function refuse(response: ServerResponse, { status, error, message, headers }: Refusal): void {
  response
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(JSON.stringify({ type: "error", error: { type: error, message } }));
}

function isAbout({ prompts }: History, when: string): boolean {
  return prompts[0]?.includes(when) ?? when === "";
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
