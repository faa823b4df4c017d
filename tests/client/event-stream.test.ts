import { expect, test } from "bun:test";
import { readEventStream } from "../../src/client/event-stream.ts";

function bodyOf(chunks: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      controller.close();
    },
  });
}

async function messagesOf(...chunks: (string | Uint8Array)[]): Promise<string[]> {
  const messages: string[] = [];
  for await (const { event, data } of readEventStream(bodyOf(chunks))) messages.push(`${event}|${data}`);
  return messages;
}

test("readEventStream: yields name and data; a message without a name is a `message`", async () => {
  expect(await messagesOf("event: a\ndata: 1\n\n", "data: 2\n\n")).toEqual(["a|1", "message|2"]);
});

test("readEventStream: joins data lines into one text", async () => {
  expect(await messagesOf("data: 1\ndata:\ndata:2\n\n")).toEqual(["message|1\n\n2"]);
});

test("readEventStream: skips comments, ids and messages without data", async () => {
  expect(await messagesOf(": heartbeat\n\nid: 5\nretry: 1\n\nevent: x\n\ndata: 1\n\n")).toEqual(["message|1"]);
});

test("readEventStream: LF, CRLF and CR end a line, even if a chunk ends between CR and LF", async () => {
  expect(await messagesOf("data: 1\r\n\r\ndata: 2\r\rdata: 3\r", "\n\r\ndata: 4\n\n")).toEqual([
    "message|1",
    "message|2",
    "message|3",
    "message|4",
  ]);
});

test("readEventStream: a chunk can end anywhere, even inside a character", async () => {
  const bytes = new TextEncoder().encode("data: grüße\n\n");
  expect(await messagesOf(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(["message|grüße"]);
});

test("readEventStream: drops an incomplete message at the end", async () => {
  expect(await messagesOf("data: 1\n\ndata: 2\n")).toEqual(["message|1"]);
});
