import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const MAX_DESCRIPTORS = 64;
/** A server that asks for the waiting connection without end does so ten thousands of times a second. */
const MOST_TURNS_A_SECOND = 1_000;

/** Begins a request and does not end it: the system gives a connection to the server with its first byte. */
function halfRequest(port: number): Socket {
  const socket = createConnection({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  socket.write("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ");
  return socket;
}

function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Clock ticks of the processor that the process has used. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** How often the main thread has gone to sleep. */
function sleepsOf(pid: number): number {
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
}

test.skipIf(process.platform !== "linux").each([["coordinator"], ["up"]])(
  "%s without free descriptors uses no core, says so once, and heals by itself",
  async (command) => {
    await using world = new World();
    const args = command === "up" ? ["up", "-x", "test-executor"] : ["coordinator"];
    const started = world.start([...args, "--no-token", "--port", "0"], { maxDescriptors: MAX_DESCRIPTORS });
    const [, url = ""] = await started.line(/Dashboard: (\S+)\//);
    const { pid } = started;
    const sockets = Array.from({ length: 2 * MAX_DESCRIPTORS }, () => halfRequest(Number(new URL(url).port)));
    await started.line(/WARNING.*All file descriptors are in use/);
    expect(openDescriptors(pid)).toBeGreaterThanOrEqual(MAX_DESCRIPTORS - 1);
    const [ticks, sleeps, from] = [ticksOf(pid), sleepsOf(pid), performance.now()];
    await until("three seconds to pass", () => performance.now() - from > 3_000);
    const seconds = (performance.now() - from) / 1_000;
    // A tick is a hundredth of a second. On a busy machine a spinning process gets little time, but many turns.
    expect((ticksOf(pid) - ticks) / seconds).toBeLessThan(20);
    expect((sleepsOf(pid) - sleeps) / seconds).toBeLessThan(MOST_TURNS_A_SECOND);
    expect(started.stdout().match(/All file descriptors/g)).toHaveLength(1);
    for (const socket of sockets) socket.destroy();
    await until("the coordinator to answer", async () => {
      const answer = await fetch(`${url}/health`, { keepalive: false }).catch(() => null);
      return answer?.status === 200;
    });
    expect(started.stdout()).not.toContain("ERROR");
  },
);
