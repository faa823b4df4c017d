import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as v from "valibot";
import { type History, historyOf } from "./history.ts";
import { messageEvents, wholeMessage } from "./message-events.ts";
import { type Refusal, refuses, type Reply } from "./reply.ts";
import { MessagesRequest } from "./request.ts";

/** What the assistant does next, told from the whole history; undefined where the script has no more. */
export type Script = (history: History) => Reply | undefined;

/** One request as it arrived; credentials are not kept. */
export interface RecordedRequest {
  /** Claude Code's own session. */
  readonly sessionId: string;
  readonly history: History;
  /** The whole body, to look for what must not be in it. */
  readonly body: string;
  readonly model: string;
  /** What the client was authenticated by. */
  readonly credential: "api-key" | "bearer" | "none";
  /** Open until the answer has ended, or the client has gone. */
  state: "open" | "answered" | "abandoned" | "dropped";
}

/** A script of which each entry is one message of the assistant, whatever the client asks between. */
export function inTurn(...steps: readonly (Reply | Script)[]): Script {
  return (history) => {
    const step = steps[history.replies];
    return typeof step === "function" ? step(history) : step;
  };
}

/**
 * A stand-in for the provider's Messages API on a real socket: `POST /v1/messages`, streamed or whole. Several conversations are served at
 * the same time; each is known by its first prompt. A request that no script has an answer for is refused, and fails the test at the end.
 */
export class MessagesApi implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  /** Requests that no script knew what to do with, in words. */
  readonly unscripted: string[] = [];
  readonly #conversations: { when: string; script: Script }[] = [];
  readonly #attempts = new Map<string, number>();
  readonly #server: Server = createServer((request, response) => {
    // Of a client that has gone in the middle of its request there is nothing to record.
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

  /** Scripts the conversations whose first prompt contains `when`; of several the first that was given. */
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
    if (this.unscripted.length > 0) throw new Error(`the script has no answer to:\n${this.unscripted.join("\n")}`);
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
      return refuse(response, refuses(404, "the stand-in does not have this"));
    }
    const recorded = this.#record(request, body, parsed.output);
    response.once("close", () => {
      if (recorded.state === "open") recorded.state = response.writableFinished ? "answered" : "abandoned";
    });
    await this.#send(response, this.#replyTo(recorded), parsed.output, recorded);
  }

  #record({ headers }: IncomingMessage, body: string, parsed: MessagesRequest): RecordedRequest {
    const sessionId = String(headers["x-claude-code-session-id"] ?? "");
    // A sub-agent has its parent's session.
    const asked = `${sessionId} ${Bun.hash(JSON.stringify(parsed.messages[0]))} ${parsed.messages.length}`;
    const attempt = (this.#attempts.get(asked) ?? 0) + 1;
    this.#attempts.set(asked, attempt);
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
    return refuses(400, "the script has no answer to this");
  }

  async #send(
    response: ServerResponse,
    reply: Reply,
    { model, stream }: MessagesRequest,
    recorded: RecordedRequest,
  ): Promise<void> {
    const drop = (): void => {
      recorded.state = "dropped";
      // The end comes behind what was written; `destroy` would take that along.
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

/** Writes the message's events up to the first that `isOver`; whether it came to the end. */
async function streamUntil(
  response: ServerResponse,
  whole: Parameters<typeof messageEvents>[0],
  isOver: (event: { type: string; isDelta: boolean }) => boolean,
): Promise<boolean> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  let deltas = 0;
  for (const event of messageEvents(whole)) {
    if (isOver(event)) return false;
    await new Promise((resolve) => response.write(event.frame, resolve));
    if (event.type === "message_start") await whole.manner.after;
    if (event.isDelta) await whole.manner.pause?.(++deltas);
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
  return prompts[0]?.includes(when) ?? false;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
