import { expect, test } from "bun:test";
import { gatewayFixture } from "./gateway-fixture.ts";

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
