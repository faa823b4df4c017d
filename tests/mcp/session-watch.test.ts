import { expect, test } from "bun:test";
import { NEVER } from "../../src/async/never.ts";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../src/client/credentials.ts";
import { silentLog } from "../../src/log.ts";
import { SessionWatch } from "../../src/mcp/session-watch.ts";
import { stubServer } from "../client/stub-server.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { until } from "../harness/until.ts";

function watchAt(url: string): SessionWatch {
  return new SessionWatch({ coordinator: new CoordinatorClient(url, noAuthorization), log: silentLog });
}

/** A coordinator whose stream is written by the test. */
function streaming(): {
  url: string;
  opened: () => number;
  say: (sessionId: string) => void;
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
    say: (session_id) => write(`event: run_ended\ndata: ${JSON.stringify({ session_id })}\n\n`),
    cut() {
      for (const stream of streams) stream.close();
      streams.clear();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test("SessionWatch: 300 waits share one stream; each looks when its session is told of, and none polls", async () => {
  await using coordinator = streaming();
  const watch = watchAt(coordinator.url);
  const looks = new Map<string, number>();
  let hasEnded = false;
  const waits = Array.from({ length: 300 }, (_, i) =>
    watch.until(
      `s${i}`,
      () => {
        looks.set(`s${i}`, (looks.get(`s${i}`) ?? 0) + 1);
        return Promise.resolve(hasEnded ? i : null);
      },
      NEVER,
    ),
  );
  // One look at the beginning, at most one more when the stream is there.
  await until("all have looked", () => looks.size === 300 && coordinator.open() === 1);
  await until("the stream's beginning was seen", () => [...looks.values()].every((count) => count === 2));
  coordinator.say("s7");
  await until("the one that was told of has looked again", () => looks.get("s7") === 3);
  expect([...looks].filter(([id]) => id !== "s7").every(([, count]) => count === 2)).toBe(true);
  hasEnded = true;
  for (let i = 0; i < 300; i++) coordinator.say(`s${i}`);
  expect(await Promise.all(waits)).toEqual(Array.from({ length: 300 }, (_, i) => i));
  expect(coordinator.opened()).toBe(1);
  await until("no stream is left", () => coordinator.open() === 0);
});

test("SessionWatch: what happened while the stream was cut is seen when it is there again", async () => {
  await using coordinator = streaming();
  const watch = watchAt(coordinator.url);
  let hasEnded = false;
  let looks = 0;
  const waited = watch.until(
    "s",
    () => {
      looks++;
      return Promise.resolve(hasEnded ? "seen" : null);
    },
    NEVER,
  );
  await until("it listens", () => looks === 2);
  hasEnded = true;
  coordinator.cut();
  expect(await waited).toBe("seen");
});

test("SessionWatch: a signal ends the wait with null, and the stream with it", async () => {
  await using coordinator = streaming();
  const watch = watchAt(coordinator.url);
  const controller = new AbortController();
  const waited = watch.until("s", () => Promise.resolve(null), controller.signal);
  await until("it listens", () => coordinator.open() === 1);
  controller.abort();
  expect(await waited).toBeNull();
  await until("no stream is left", () => coordinator.open() === 0);
});

test("SessionWatch: where there is no stream it looks again and again, and asks for the stream once", async () => {
  await using coordinator = stubServer(() => Response.json({ detail: "Not Found" }, { status: 404 }));
  let looks = 0;
  expect(await watchAt(coordinator.url).until("s", () => Promise.resolve(++looks === 2 ? "seen" : null), NEVER)).toBe(
    "seen",
  );
  expect(coordinator.received).toHaveLength(1);
});

test("SessionWatch: a stream that does not obey `types` is not read", async () => {
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
  await until("the stream was left", () => isCancelled);
  controller.abort();
  await waited;
});

test("SessionWatch: a look that the coordinator cannot answer now is repeated, one that it refuses rejects", async () => {
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

test("SessionWatch: our coordinator tells of a run's end", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { run_id, session_id } = await c.start();
  const client = new CoordinatorClient(c.coordinator.url, noAuthorization);
  let looks = 0;
  const waited = watchAt(c.coordinator.url).until(
    session_id,
    async () => {
      looks++;
      const run = await client.run(run_id);
      return run.status === "completed" ? run : null;
    },
    NEVER,
  );
  await until("it listens", () => looks === 2);
  await c.execute(runner, "completed");
  expect(await waited).toMatchObject({ status: "completed" });
});
