/** One content block of an answer. */
export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input: Readonly<Record<string, unknown>> };

/** What the provider does about one request: answer with these blocks, refuse with a status, or begin an answer and never end it. */
export type Reply = readonly Block[] | { readonly status: number; readonly error: string } | { readonly stall: string };

export interface ProviderRequest {
  readonly system: string;
  readonly tools: readonly string[];
  /** The texts of all messages, tool results too, in their order. */
  readonly history: string;
  readonly apiKey: string | null;
}

export interface ScriptedProvider extends Disposable {
  readonly url: string;
  /** Requests for an answer; of a request that asks for something else (a title, a count) nothing is kept. */
  readonly requests: ProviderRequest[];
}

/**
 * A stand-in for the Messages API, real HTTP on loopback: the n-th request with tools gets the n-th reply, any further one the last.
 * As much of it as the executor's own tests need.
 */
export function scriptedProvider(...replies: readonly Reply[]): ScriptedProvider {
  const requests: ProviderRequest[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      if (request.method !== "POST" || new URL(request.url).pathname !== "/v1/messages") return new Response(null, { status: 404 });
      const body = (await request.json()) as { system?: unknown; messages: unknown; tools?: { name: string }[] };
      const tools = (body.tools ?? []).map(({ name }) => name);
      if (tools.length === 0) return answer([{ type: "text", text: "a title" }]);
      const reply = replies[Math.min(requests.length, replies.length - 1)] ?? [];
      requests.push({ system: textOf(body.system), tools, history: textOf(body.messages), apiKey: request.headers.get("x-api-key") });
      if (Array.isArray(reply)) return answer(reply as readonly Block[]);
      if ("stall" in reply) return stall(reply.stall);
      const { status, error } = reply as { status: number; error: string };
      return Response.json({ type: "error", error: { type: error, message: `made-up ${error}` } }, { status });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    [Symbol.dispose]() {
      void server.stop(true);
    },
  };
}

/** All texts in a value, whatever its form. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return "";
  return Object.values(value).map(textOf).join("\n");
}

const HEADERS = { "content-type": "text/event-stream" };
let ids = 0;

function answer(blocks: readonly Block[]): Response {
  const stopReason = blocks.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn";
  const events = [begin(), ...blocks.flatMap(blockEvents)];
  events.push({ type: "message_delta", delta: { stop_reason: stopReason, stop_sequence: null }, usage: { output_tokens: 7 } });
  events.push({ type: "message_stop" });
  return new Response(events.map(wire).join(""), { headers: HEADERS });
}

/** Half an answer, and silence. */
function stall(text: string): Response {
  const events = [begin(), ...blockEvents({ type: "text", text }, 0).slice(0, 2)];
  const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(events.map(wire).join(""))) });
  return new Response(body, { headers: HEADERS });
}

type Event = { readonly type: string } & Record<string, unknown>;

function begin(): Event {
  const usage = { input_tokens: 11, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const message = { id: `msg_${++ids}`, type: "message", role: "assistant", model: "made-up", content: [], stop_reason: null, usage };
  return { type: "message_start", message };
}

function blockEvents(block: Block, index: number): Event[] {
  const [empty, delta] =
    block.type === "text"
      ? [{ type: "text", text: "" }, { type: "text_delta", text: block.text }]
      : [
          { type: "tool_use", id: `toolu_${++ids}`, name: block.name, input: {} },
          { type: "input_json_delta", partial_json: JSON.stringify(block.input) },
        ];
  return [
    { type: "content_block_start", index, content_block: empty },
    { type: "content_block_delta", index, delta },
    { type: "content_block_stop", index },
  ];
}

function wire(event: Event): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
