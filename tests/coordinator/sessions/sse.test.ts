import { expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

interface Received {
  readonly type: string;
  readonly id: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any;
}

/** A subscriber: collects events until disposal. */
class Listener implements Disposable {
  readonly received: Received[] = [];
  text = "";
  readonly #disconnect = new AbortController();

  static async open(c: Fixture, query = "", headers: Record<string, string> = {}): Promise<Listener> {
    const listener = new Listener();
    const response = await fetch(`${c.coordinator.url}/sse/sessions${query}`, {
      headers,
      signal: listener.#disconnect.signal,
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    void listener.#read(response).catch(() => {});
    await until("the stream is open", () => listener.text.includes(": connected"));
    return listener;
  }

  types(): string[] {
    return this.received.map((each) => each.type);
  }

  [Symbol.dispose](): void {
    this.#disconnect.abort();
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body ?? []) {
      const text = decoder.decode(chunk, { stream: true });
      this.text += text;
      const frames = (rest + text).split("\n\n");
      rest = frames.pop() ?? "";
      for (const frame of frames) {
        const fields = Object.fromEntries(
          frame.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
        );
        if (fields["event"])
          this.received.push({
            type: fields["event"],
            id: fields["id"] ?? "",
            data: JSON.parse(fields["data"] ?? "null"),
          });
      }
    }
  }
}

test("session_stop finishes the session before the event is sent; init has the newest session first", async () => {
  await using c = await Fixture.start();
  for (const id of ["a", "b"]) await c.start({ session_id: id });
  using listener = await Listener.open(c);
  await until("init arrives", () => listener.received.length === 1);
  expect(listener.received[0]).toMatchObject({ data: { sessions: [{ session_id: "b" }, { session_id: "a" }] } });
  await c.post("/sessions/a/events", { event_type: "session_stop", session_id: "a", timestamp: "t" });
  await until("the event arrives", () => listener.types().includes("event"));
  expect(listener.types()).toEqual(["init", "session_updated", "event"]);
  expect(listener.received[1]?.data.session).toMatchObject({ session_id: "a", status: "finished" });
});

test("a stream starts with init, then sends changes of sessions, events and failed runs", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "old" });
  using listener = await Listener.open(c);
  await until("init arrives", () => listener.received.length === 1);
  expect(listener.received[0]).toMatchObject({ type: "init", data: { sessions: [{ session_id: "old" }] } });
  await c.start({ session_id: "new" });
  const run = await c.claim(runner);
  await c.say("old", "hi");
  await c.report(run.run_id, "failed", runner);
  await c.call("DELETE", "/sessions/old");
  await until("the deletion arrives", () => listener.types().includes("session_deleted"));
  expect(listener.types()).toEqual([
    "init",
    "session_created",
    "session_updated",
    "event",
    "session_updated",
    "run_failed",
    "run_ended",
    "session_deleted",
  ]);
  expect(listener.received[1]?.data.session).toMatchObject({ session_id: "new", status: "pending" });
  expect(listener.received[2]?.data.session).toMatchObject({ session_id: "old", status: "running" });
  expect(listener.received[3]?.data.data).toMatchObject({ event_type: "message", session_id: "old" });
  expect(listener.received[5]?.data).toEqual({ run_id: run.run_id, error: "it broke", session_id: "old" });
  expect(listener.received[6]?.data).toEqual({
    run_id: run.run_id,
    session_id: "old",
    status: "failed",
    retried_by: null,
  });
  expect(listener.received[7]?.data).toEqual({ session_id: "old" });
});

test("types= filters events, and the answer repeats the types; the end of a pending run is sent too", async () => {
  await using c = await Fixture.start();
  const run = await c.start({ session_id: "a" });
  const all = await fetch(`${c.coordinator.url}/sse/sessions?types=run_ended,session_deleted&include_init=false`);
  expect(all.headers.get("x-event-types")).toBe("run_ended,session_deleted");
  await all.body?.cancel();
  using listener = await Listener.open(c, "?types=run_ended,session_deleted&include_init=false");
  await c.say("a", "hi");
  await c.post(`/runs/${run.run_id}/stop`);
  await c.call("DELETE", "/sessions/a");
  await until("the deletion arrives", () => listener.types().includes("session_deleted"));
  expect(listener.types()).toEqual(["run_ended", "session_deleted"]);
  expect(listener.received[0]?.data).toEqual({
    run_id: run.run_id,
    session_id: "a",
    status: "stopped",
    retried_by: null,
  });
});

test("a retried attempt sends run_ended with the next attempt, and no run_failed", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { run_id, session_id } = await c.start({ max_attempts: 2, retry_delay_seconds: 0 });
  using listener = await Listener.open(c, "?types=run_failed,run_ended&include_init=false");
  await c.claim(runner);
  await c.report(run_id, "failed", runner, { reason: "temporary" });
  const second = await c.execute(runner, "failed");
  await until("both ends arrive", () => listener.received.length === 3);
  expect(listener.received.map(({ type, data }) => ({ type, ...data }))).toEqual([
    { type: "run_ended", run_id, session_id, status: "failed", retried_by: second.run_id },
    { type: "run_failed", run_id: second.run_id, error: "it broke", session_id },
    { type: "run_ended", run_id: second.run_id, session_id, status: "failed", retried_by: null },
  ]);
});

test("session_id= sends events of that session only; include_init=false omits init", async () => {
  await using c = await Fixture.start();
  for (const session_id of ["a", "b"]) await c.start({ session_id });
  using one = await Listener.open(c, "?session_id=a");
  using none = await Listener.open(c, "?include_init=false");
  await c.say("b", "x");
  await c.say("a", "y");
  await until("both receive the events", () => one.types().includes("event") && none.received.length === 2);
  expect(one.received.map((each) => each.type)).toEqual(["init", "event"]);
  expect(one.received[0]?.data.sessions).toHaveLength(1);
  expect(one.received[1]?.data.data.session_id).toBe("a");
  expect(none.types()).toEqual(["event", "event"]);
});

test("Last-Event-ID continues after that event", async () => {
  await using c = await Fixture.start();
  await c.start({ session_id: "s" });
  using first = await Listener.open(c);
  await c.say("s", "one");
  await until("the event arrives", () => first.types().includes("event"));
  const seen = first.received.at(-1)?.id ?? "";
  await c.say("s", "two");
  await c.say("s", "three");
  using second = await Listener.open(c, "", { "last-event-id": seen });
  await until("both events arrive", () => second.received.length === 2);
  expect(second.received.map((each) => each.data.data.content[0].text)).toEqual(["two", "three"]);
});

test("Last-Event-ID from before a restart brings init", async () => {
  await using c = await Fixture.start();
  await c.start({ session_id: "s" });
  using first = await Listener.open(c);
  await until("init arrives", () => first.received.length === 1);
  const seen = first.received[0]?.id ?? "";
  await c.restart();
  using second = await Listener.open(c, "?include_init=false", { "last-event-id": seen });
  await until("init arrives again", () => second.received.length === 1);
  expect(second.types()).toEqual(["init"]);
});

test("sends comment lines as heartbeats", async () => {
  await using c = await Fixture.start({ sseHeartbeatMs: 20 });
  using listener = await Listener.open(c);
  await until("heartbeats arrive", () => listener.text.split(": heartbeat\n\n").length > 2);
});

test("disconnects a subscriber that does not read; the others continue", async () => {
  await using c = await Fixture.start();
  await c.start({ session_id: "s" });
  let received = "";
  let ended = false;
  using stuck = await Bun.connect({
    hostname: "127.0.0.1",
    port: c.coordinator.port,
    socket: {
      data: (_, data) => void (received = data.toString().slice(-5)),
      close: () => void (ended = true),
      error: () => {},
    },
  });
  stuck.write("GET /sse/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until("the stream is open", () => received !== "");
  stuck.pause();
  using reader = await Listener.open(c);
  const text = "x".repeat(2_000_000);
  for (let i = 0; i < 14; i++) await c.say("s", text);
  await until(
    "the other subscriber has all events",
    () => reader.types().filter((type) => type === "event").length === 14,
  );
  stuck.resume();
  await until("the connection is reset", () => ended);
});

test("a subscriber that was cut off continues with Last-Event-ID, with long events too", async () => {
  await using c = await Fixture.start();
  await c.start({ session_id: "s" });
  using first = await Listener.open(c);
  for (let i = 0; i < 3; i++) await c.say("s", String(i).repeat(3_000_000));
  await until("all arrive", () => first.types().filter((type) => type === "event").length === 3);
  using second = await Listener.open(c, "", { "last-event-id": first.received[1]?.id ?? "" });
  await until("the rest arrives", () => second.received.length === 2);
  expect(second.received.map(({ id, data }) => [id, data.data.content[0].text])).toEqual(
    first.received.slice(2).map(({ id, data }) => [id, data.data.content[0].text]),
  );
});
