import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const READERS = 48;
const EVENT_BYTES = 256 * 1024;
const EVENTS = 160;
/** 48 queues of 16 MiB would take 768 MiB. The margin covers the parsing of 40 MiB of events. */
const MOST_MIB = 400;

/** Opens a stream, reads its head and then nothing more. */
async function stalledReader(url: URL): Promise<Socket> {
  const opened = Promise.withResolvers<void>();
  const socket = connect(Number(url.port), url.hostname, () => {
    socket.write(`GET /sse/sessions HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  });
  socket.on("data", (data) => data.includes(": connected") && opened.resolve());
  socket.on("error", () => {});
  await opened.promise;
  socket.pause();
  return socket;
}

function peakMiB(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

test.skipIf(process.platform !== "linux")(
  `${READERS} streams that nobody reads cost no memory of their own, and their sockets are closed`,
  async () => {
    await using world = new World();
    const { api, process: coordinator } = await world.coordinator();
    const { session_id } = await api.submit("work");
    const readers = await Promise.all(Array.from({ length: READERS }, () => stalledReader(new URL(api.url))));
    let closed = 0;
    for (const socket of readers) socket.on("close", () => closed++);
    const event = { event_type: "post_tool", session_id, tool_name: "read", tool_output: "x".repeat(EVENT_BYTES) };
    for (let i = 0; i < EVENTS; i++) {
      const sent = await fetch(`${api.url}/sessions/${session_id}/events`, {
        method: "POST",
        body: JSON.stringify(event),
      });
      expect(sent.status).toBe(200);
    }
    expect(peakMiB(coordinator.pid)).toBeLessThan(MOST_MIB);
    for (const socket of readers) socket.resume();
    await until("the sockets to be closed", () => closed === READERS);
    expect(await api.events(session_id)).toHaveLength(EVENTS);
  },
);
