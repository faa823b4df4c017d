import { connect, type Socket } from "node:net";
import { createRun, postJson } from "./calls.ts";
import type { Figure, Item } from "./figure.ts";
import { memoryOf } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { single } from "./statistics.ts";

const EVENT_BYTES = 64 * 1024;
const TOTAL_BYTES = 40 * 1024 * 1024;

/** The memory of the coordinator while readers of its stream do not read, and one run sends 40 MiB of events. */
export const unreadStreams: Item = {
  name: "unread-streams",
  needsLinux: true,
  async measure({ quick }) {
    const totalBytes = quick ? TOTAL_BYTES / 4 : TOTAL_BYTES;
    return [
      await peakFigure("48 streams that are never read", 48, totalBytes),
      await peakFigure("60 streams that stall after the first event", 60, totalBytes, true),
    ];
  },
};

async function peakFigure(what: string, count: number, totalBytes: number, readsFirst = false): Promise<Figure> {
  await using scene = new Scene();
  const { url, program } = await scene.coordinator();
  const { session_id: sessionId } = await createRun(url);
  const before = memoryOf(program.pid).residentKiB;
  const readers = Array.from({ length: count }, () => openReader(new URL(url)));
  await Promise.all(readers.map(({ opened }) => opened));
  if (!readsFirst) for (const { socket } of readers) socket.pause();
  const event = { event_type: "post_tool", session_id: sessionId, tool_name: "read", tool_output: "" };
  const send = (tool_output: string): Promise<unknown> =>
    postJson(`${url}/sessions/${sessionId}/events`, { ...event, tool_output });
  if (readsFirst) {
    await send("x");
    await Promise.all(readers.map(({ hasEvent }) => hasEvent));
    for (const { socket } of readers) socket.pause();
  }
  let peak = before;
  const output = "x".repeat(EVENT_BYTES);
  for (let sent = 0; sent < totalBytes; sent += EVENT_BYTES) {
    await send(output);
    peak = Math.max(peak, memoryOf(program.pid).residentKiB);
  }
  for (const { socket } of readers) socket.destroy();
  return {
    item: "unread streams",
    what: `${what}, ${totalBytes / 1024 ** 2} MiB of events: peak of the coordinator`,
    unit: "MiB",
    better: "lower",
    measured: single(peak / 1024),
    limit: single(before / 1024),
    limitIs: "the same coordinator before the readers connect",
  };
}

interface Reader {
  readonly socket: Socket;
  readonly opened: Promise<void>;
  readonly hasEvent: Promise<void>;
}

function openReader(url: URL): Reader {
  const opened = Promise.withResolvers<void>();
  const hasEvent = Promise.withResolvers<void>();
  const socket = connect(Number(url.port), url.hostname, () => {
    socket.write(`GET /sse/sessions HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  });
  socket.on("data", (data) => {
    if (data.includes(": connected")) opened.resolve();
    if (data.includes("event: event")) hasEvent.resolve();
  });
  // The coordinator closes the socket of a reader that is too slow.
  socket.on("error", () => {});
  return { socket, opened: opened.promise, hasEvent: hasEvent.promise };
}
