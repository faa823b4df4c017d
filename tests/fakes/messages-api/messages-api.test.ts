import { expect, test } from "bun:test";
import { connect } from "node:net";
import { until } from "../../harness/until.ts";
import { inTurn, MessagesApi } from "./messages-api.ts";
import { message, refuses, says, stalls, text, toolUse, uses } from "./reply.ts";

interface Question {
  readonly messages: readonly object[];
  readonly stream?: boolean;
  readonly signal?: AbortSignal;
}

function ask(api: MessagesApi, { messages, stream = true, signal }: Question): Promise<Response> {
  const body = JSON.stringify({
    model: "claude-test",
    max_tokens: 100,
    stream,
    system: [{ type: "text", text: "be good" }],
    messages,
    tools: [{ name: "Bash" }],
  });
  const headers = { "content-type": "application/json", "x-api-key": "secret", "x-claude-code-session-id": "s1" };
  return fetch(`${api.url}/v1/messages?beta=true`, {
    method: "POST",
    body,
    headers,
    keepalive: false,
    ...(signal === undefined ? {} : { signal }),
  });
}

const user = (text: string): object => ({ role: "user", content: [{ type: "text", text }] });
const reminder = {
  role: "user",
  content: [{ type: "text", text: "<system-reminder>\nmind the gap\n</system-reminder>" }],
};
const toolTurn = [
  { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "pwd" } }] },
  {
    role: "user",
    content: [{ type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "/home" }] }],
  },
];

/** All bytes until the connection ends. `fetch` would discard the unread part of an answer that breaks off. */
async function rawAnswer(api: MessagesApi, body: string): Promise<string> {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  socket.write(`POST /v1/messages HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  let received = "";
  for await (const chunk of socket) received += String(chunk);
  return received;
}

interface StreamedEvent {
  readonly type: string;
  readonly delta?: { text?: string; partial_json?: string; stop_reason?: string };
}

async function eventsOf(response: Response): Promise<StreamedEvent[]> {
  return [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(
    ([, data = ""]) => JSON.parse(data) as StreamedEvent,
  );
}

test("streams a message as events in the provider's order, with text and tool input in pieces", async () => {
  await using api = await MessagesApi.start();
  api.conversation("hello", inTurn(message([text("Grüße, 🎉 all"), toolUse("Bash", { command: "echo 'a b'" })])));
  const events = await eventsOf(await ask(api, { messages: [user("hello")] }));
  const block = "content_block_start content_block_delta content_block_stop";
  const types = events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
  expect(types.join(" ")).toBe(`message_start ${block} ${block} message_delta message_stop`);
  expect(events.map(({ delta }) => delta?.text ?? "").join("")).toBe("Grüße, 🎉 all");
  expect(JSON.parse(events.map(({ delta }) => delta?.partial_json ?? "").join(""))).toEqual({ command: "echo 'a b'" });
  expect(events.at(-2)?.delta?.stop_reason).toBe("tool_use");
});

test("passes the complete history to the script, and distinguishes conversations by their first prompt", async () => {
  await using api = await MessagesApi.start();
  api.conversation(
    "first",
    inTurn(uses("Bash"), ({ system, tools, prompts, toolResults }) =>
      says(JSON.stringify({ system, tools, prompts, toolResults })),
    ),
  );
  api.conversation("second", inTurn(says("the second")));
  const [first, second] = await Promise.all([
    ask(api, { messages: [reminder, user("first"), ...toolTurn, { role: "system", content: "later" }], stream: false }),
    ask(api, { messages: [user("second")], stream: false }),
  ]);
  const textOf = async (response: Response): Promise<string> =>
    ((await response.json()) as { content: { text: string }[] }).content[0]?.text ?? "";
  expect(JSON.parse(await textOf(first))).toEqual({
    system: "be good\nlater\n<system-reminder>\nmind the gap\n</system-reminder>",
    tools: ["Bash"],
    prompts: ["first"],
    toolResults: [{ tool: "Bash", text: "/home", isError: false }],
  });
  expect(await textOf(second)).toBe("the second");
});

test("sends an error in the provider's shape with the script's headers, and counts the retry", async () => {
  await using api = await MessagesApi.start();
  api.conversation(
    "",
    inTurn(({ attempt }) => (attempt === 1 ? refuses(429, "slow down", { "retry-after": "7" }) : says("now"))),
  );
  const refused = await ask(api, { messages: [user("hello")] });
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "7"]);
  expect(await refused.json()).toEqual({ type: "error", error: { type: "rate_limit_error", message: "slow down" } });
  expect((await ask(api, { messages: [user("hello")] })).status).toBe(200);
  expect(api.requests.map(({ state, credential }) => [state, credential])).toEqual([
    ["answered", "api-key"],
    ["answered", "api-key"],
  ]);
  expect(JSON.stringify(api.requests)).not.toContain("secret");
});

test("a broken stream ends after some deltas, without the final events", async () => {
  await using api = await MessagesApi.start();
  api.conversation("", inTurn(says("one two three", { cutAfterDeltas: 1 })));
  const received = await rawAnswer(
    api,
    JSON.stringify({ model: "claude-test", stream: true, messages: [user("hello")] }),
  );
  expect(received.match(/^event: .*/gm)).toEqual([
    "event: message_start",
    "event: content_block_start",
    "event: content_block_delta",
  ]);
  // The final chunk of a complete answer.
  expect(received).not.toEndWith("0\r\n\r\n");
  expect(api.requests[0]?.state).toBe("dropped");
});

test("a stalled answer stays open until the client disconnects, a thinking one until the thought ends", async () => {
  await using api = await MessagesApi.start();
  const thought = Promise.withResolvers<void>();
  api.conversation("stall", inTurn(stalls()));
  api.conversation("think", inTurn(says("done", { after: thought.promise })));
  const client = new AbortController();
  const stalled = ask(api, { messages: [user("stall")], signal: client.signal });
  const thinking = await ask(api, { messages: [user("think")] });
  await until(
    "both requests to be open",
    () => api.requests.length === 2 && api.requests.every(({ state }) => state === "open"),
  );
  client.abort();
  await expect(stalled).rejects.toThrow();
  await until("the stalled request to be abandoned", () => api.requestsOf("stall")[0]?.state === "abandoned");
  thought.resolve();
  expect(await thinking.text()).toContain("message_stop");
});

test("throws when disposed after a request that no script answers", async () => {
  const api = await MessagesApi.start();
  api.conversation("hello", inTurn());
  expect((await ask(api, { messages: [user("hello")] })).status).toBe(400);
  expect((await fetch(`${api.url}/v1/other`, { keepalive: false })).status).toBe(404);
  await expect(api[Symbol.asyncDispose]()).rejects.toThrow(/"hello".*\nGET \/v1\/other/);
});
