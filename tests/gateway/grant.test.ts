import { expect, test } from "bun:test";
import { type GatewayFixture, gatewayFixture } from "./gateway-fixture.ts";

const message = (text: string) => ({
  event_type: "message",
  session_id: "own",
  role: "assistant",
  content: [{ type: "text", text }],
});

test("Grant: records the events of the executor", async () => {
  await using fixture = gatewayFixture();
  const { activity } = fixture.grant;
  expect(activity).toEqual({
    assistantMessageSent: false,
    sessionStopSent: false,
    sessionStopAt: null,
    resultSent: false,
    lastAssistantText: "",
  });
  await fixture.call("POST", "/sessions/own/events", { ...message("q"), role: "user" });
  expect(activity.assistantMessageSent).toBe(false);
  await fixture.call("POST", "/sessions/own/events", message("one"));
  await fixture.call("POST", "/events", message("two"));
  expect(activity).toMatchObject({ assistantMessageSent: true, lastAssistantText: "two", sessionStopSent: false });
  await fixture.call("POST", "/sessions/own/events", { event_type: "result", session_id: "own", result_text: "r" });
  await fixture.call("POST", "/sessions/own/events", { event_type: "session_stop", session_id: "own" });
  expect(activity).toMatchObject({ resultSent: true, sessionStopSent: true });
});

test("Grant: ignores events that the coordinator did not acknowledge", async () => {
  await using fixture = gatewayFixture({ answer: () => Response.json({ detail: "busy" }, { status: 500 }) });
  expect(
    (await fixture.call("POST", "/sessions/own/events", { event_type: "session_stop", session_id: "own" })).status,
  ).toBe(500);
  expect((await fixture.call("POST", "/sessions/own/events", message("x"))).status).toBe(500);
  expect(fixture.grant.activity).toMatchObject({ sessionStopSent: false, assistantMessageSent: false });
});

test("Grant: ignores events answered by a web page with status 200", async () => {
  await using fixture = gatewayFixture({ answer: () => new Response("<html>log in</html>") });
  expect(
    (await fixture.call("POST", "/sessions/own/events", { event_type: "session_stop", session_id: "own" })).status,
  ).toBe(502);
  expect(fixture.grant.activity.sessionStopSent).toBe(false);
});

test("Grant: keeps the end of a long message", async () => {
  await using fixture = gatewayFixture();
  await fixture.call("POST", "/sessions/own/events", message(`${"a".repeat(200_000)}end`));
  expect(fixture.grant.activity.lastAssistantText).toHaveLength(64 * 1024);
  expect(fixture.grant.activity.lastAssistantText.endsWith("aend")).toBe(true);
});

test("Grant.settled: waits for writes in flight, not for reads", async () => {
  const go = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using fixture = gatewayFixture({
    answer: async ({ method }) => {
      if (method === "GET") return new Promise(() => {});
      arrived.resolve();
      await go.promise;
      return Response.json({ ok: true });
    },
  });
  const read = fixture.call("GET", "/agents").catch(() => null);
  await fixture.grant.settled();
  const write = fixture.call("POST", "/sessions/own/events", message("last message"));
  await arrived.promise;
  let isSettled = false;
  const settled = fixture.grant.settled().then(() => (isSettled = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isSettled).toBe(false);
  go.resolve();
  await settled;
  expect(fixture.grant.activity.lastAssistantText).toBe("last message");
  await write;
  await fixture.gateway[Symbol.asyncDispose]();
  await read;
});

const stop = (timestamp: string) => ({ event_type: "session_stop", session_id: "own", timestamp });

/** A gateway whose coordinator answers each `session_stop` with 200, but for the first ones. */
function withLostAnswers(losses: ("stored" | "lost")[]): { fixture: GatewayFixture; events: unknown[] } {
  const events: unknown[] = [];
  const fixture = gatewayFixture({
    answer: ({ method, url, body }) => {
      if (!url.startsWith("/sessions/own/events")) return undefined;
      if (method === "GET") return Response.json({ events });
      const loss = losses.shift();
      if (loss !== "lost") events.push(JSON.parse(body));
      return loss === undefined ? Response.json({ ok: true }) : new Response("Bad Gateway", { status: 502 });
    },
  });
  return { fixture, events };
}

test.each([
  ["the answer was lost", ["stored"], ["01"]],
  ["the call was lost", ["lost"], ["02"]],
  ["a call and then an answer was lost", ["lost", "stored"], ["02"]],
] as const)("Grant: a session_stop that is sent again arrives once if %s", async (_, losses, stored) => {
  const { fixture, events } = withLostAnswers([...losses]);
  await using _fixture = fixture;
  for (let i = 1; i <= losses.length; i++) {
    expect((await fixture.call("POST", "/sessions/own/events", stop(`2026-01-01T00:00:0${i}Z`))).status).toBe(502);
  }
  for (const path of ["/sessions/own/events", "/events"]) {
    const again = await fixture.call("POST", path, stop(`2026-01-01T00:00:0${losses.length + 1}Z`));
    expect(again).toEqual({ status: 200, body: { ok: true } });
  }
  expect(events).toEqual(stored.map((second) => stop(`2026-01-01T00:00:${second}Z`)));
  expect(fixture.grant.activity.sessionStopSent).toBe(true);
});

test("Grant: two session_stop at once arrive once", async () => {
  const { fixture, events } = withLostAnswers([]);
  await using _fixture = fixture;
  const times = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"];
  await Promise.all(times.map((time) => fixture.call("POST", "/sessions/own/events", stop(time))));
  expect(events).toHaveLength(1);
});
