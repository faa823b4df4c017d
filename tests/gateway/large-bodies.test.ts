import { expect, test } from "bun:test";
import { gatewayFixture } from "./gateway-fixture.ts";

test("gateway: forwards one large body of a run at a time, and small ones meanwhile", async () => {
  const small = Promise.withResolvers<void>();
  let inFlight = 0;
  let most = 0;
  await using g = gatewayFixture({
    answer({ method, body }) {
      if (method !== "POST") return undefined;
      if (body.length < 1024) {
        small.resolve();
        return undefined;
      }
      most = Math.max(most, ++inFlight);
      // Ends only when a small body has passed by.
      return small.promise.then(() => {
        inFlight--;
        return Response.json({ ok: true });
      });
    },
  });
  const send = async (characters: number): Promise<number> => {
    const event = { event_type: "post_tool", session_id: "own", tool_output: "x".repeat(characters) };
    return (await g.call("POST", "/sessions/own/events", event)).status;
  };
  const large = Array.from({ length: 4 }, () => send(2 * 1024 * 1024));
  expect(await send(1)).toBe(200);
  expect(await Promise.all(large)).toEqual([200, 200, 200, 200]);
  expect(most).toBe(1);
});
