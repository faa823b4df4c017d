import { expect, test } from "bun:test";
import { NEVER } from "../../src/async/never.ts";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { silentLog } from "../../src/log.ts";
import { SessionWatch } from "../../src/mcp/session-watch.ts";
import { stubServer } from "../client/stub-server.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { until } from "../harness/until.ts";

function watchAt(url: string): SessionWatch {
  return new SessionWatch({ coordinator: new CoordinatorClient(url, noAuthorization), log: silentLog });
}

/** A coordinator with a stream that the test writes. */
function streaming(): {
  url: string;
  opened: () => number;
  sendEnd: (sessionId: string) => void;
  cut: () => void;
  open: () => number;
} & AsyncDisposable {
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  let opened = 0;
  const server = stubServer(() => {
    opened++;
    let own: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        own = controller;
        streams.add(controller);
        controller.enqueue(new TextEncoder().encode(": connected\n\n"));
      },
      cancel: () => void (own && streams.delete(own)),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream", "x-event-types": "run_ended" } });
  });
  const write = (text: string): void => {
    for (const stream of streams) stream.enqueue(new TextEncoder().encode(text));
  };
  return {
    url: server.url,
    opened: () => opened,
    open: () => streams.size,
    sendEnd: (session_id) => write(`event: run_ended\ndata: ${JSON.stringify({ session_id })}\n\n`),
    cut() {
      for (const stream of streams) stream.close();
      streams.clear();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test("SessionWatch: 300 waits share one stream; each checks on its own session's events; none polls", async () => {
  await using coordinator = streaming();
  const watch = watchAt(coordinator.url);
  const checks = new Map<string, number>();
  let hasEnded = false;
  const waits = Array.from({ length: 300 }, (_, i) =>
    watch.until(
      `s${i}`,
      () => {
        checks.set(`s${i}`, (checks.get(`s${i}`) ?? 0) + 1);
        return Promise.resolve(hasEnded ? i : null);
      },
      NEVER,
    ),
  );
  // Each wait checks once at the beginning and once when the stream opens.
  await until("the first check of each wait", () => checks.size === 300 && coordinator.open() === 1);
  await until("the second check of each wait", () => [...checks.values()].every((count) => count === 2));
  coordinator.sendEnd("s7");
  await until("a check of the session with an event", () => checks.get("s7") === 3);
  expect([...checks].filter(([id]) => id !== "s7").every(([, count]) => count === 2)).toBe(true);
  hasEnded = true;
  for (let i = 0; i < 300; i++) coordinator.sendEnd(`s${i}`);
  expect(await Promise.all(waits)).toEqual(Array.from({ length: 300 }, (_, i) => i));
  expect(coordinator.opened()).toBe(1);
  await until("no stream is left", () => coordinator.open() === 0);
});

test("SessionWatch: notices an end that happened while the stream was interrupted", async () => {
  await using coordinator = streaming();
  const watch = watchAt(coordinator.url);
  let hasEnded = false;
  let checks = 0;
  const waited = watch.until(
    "s",
    () => {
      checks++;
      return Promise.resolve(hasEnded ? "ended" : null);
    },
    NEVER,
  );
  await until("it listens", () => checks === 2);
  hasEnded = true;
  coordinator.cut();
  expect(await waited).toBe("ended");
});

test("SessionWatch: a signal ends the wait with null and closes the stream", async () => {
  await using coordinator = streaming();
  const watch = watchAt(coordinator.url);
  const controller = new AbortController();
  const waited = watch.until("s", () => Promise.resolve(null), controller.signal);
  await until("it listens", () => coordinator.open() === 1);
  controller.abort();
  expect(await waited).toBeNull();
  await until("no stream is left", () => coordinator.open() === 0);
});

test("SessionWatch: polls a coordinator without a stream, and requests the stream once", async () => {
  await using coordinator = stubServer(() => Response.json({ detail: "Not Found" }, { status: 404 }));
  let checks = 0;
  expect(await watchAt(coordinator.url).until("s", () => Promise.resolve(++checks === 2 ? "ended" : null), NEVER)).toBe(
    "ended",
  );
  expect(coordinator.received).toHaveLength(1);
});

test("SessionWatch: closes a stream that ignores `types`", async () => {
  let isCancelled = false;
  const endless = (): ReadableStream =>
    new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(": hi\n\n")),
      cancel: () => void (isCancelled = true),
    });
  await using coordinator = stubServer(
    () => new Response(endless(), { headers: { "content-type": "text/event-stream" } }),
  );
  const controller = new AbortController();
  const waited = watchAt(coordinator.url).until("s", () => Promise.resolve(null), controller.signal);
  await until("the stream is cancelled", () => isCancelled);
  controller.abort();
  await waited;
});

test("SessionWatch: retries a check after a transient failure, rejects after a refusal", async () => {
  let answers = 0;
  await using coordinator = stubServer(({ url }) =>
    url.startsWith("/sse")
      ? Response.json({}, { status: 404 })
      : Response.json({ detail: "x" }, { status: ++answers === 1 ? 503 : 404 }),
  );
  const client = new CoordinatorClient(coordinator.url, noAuthorization);
  const waited = watchAt(coordinator.url).until("s", () => client.run("run_1"), NEVER);
  expect(await waited.catch((error: unknown) => error)).toMatchObject({ name: "CoordinatorFailure", status: 404 });
  expect(answers).toBe(2);
});

test("SessionWatch: the embedded coordinator sends the end of a run", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { run_id, session_id } = await c.start();
  const client = new CoordinatorClient(c.coordinator.url, noAuthorization);
  let checks = 0;
  const waited = watchAt(c.coordinator.url).until(
    session_id,
    async () => {
      checks++;
      const run = await client.run(run_id);
      return run.status === "completed" ? run : null;
    },
    NEVER,
  );
  await until("it listens", () => checks === 2);
  await c.execute(runner, "completed");
  expect(await waited).toMatchObject({ status: "completed" });
});
