import { expect, test } from "bun:test";
import { type Change, Live } from "../../src/dashboard/live.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { until } from "../harness/until.ts";

/** The page's stream from a real coordinator. The URL is read on each call: it changes with a restart. */
function listen(c: Fixture): { live: Live; changes: (Change | null)[] } & Disposable {
  const live = new Live({ open: async (path, init) => await fetch(c.coordinator.url + path, init) });
  const changes: (Change | null)[] = [];
  live.subscribe((change) => changes.push(change));
  live.start();
  return { live, changes, [Symbol.dispose]: () => live.stop() };
}

test("Live: every type of change names its session", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  using page = listen(c);
  // The first stream reports that earlier changes may have been missed.
  await until("the stream is open", () => page.changes.length === 1 && page.changes[0] === null);
  await c.start({ session_id: "one" });
  const run = await c.claim(runner);
  await c.say("one", "hi");
  await c.post(`/runner/runs/${run.run_id}/failed`, { runner_id: runner, error: "no" });
  await c.call("DELETE", "/sessions/one");
  await until("the deletion arrives", () => page.changes.some((change) => change?.type === "session_deleted"));
  const changes = page.changes.slice(1);
  const types = ["session_created", "session_updated", "event", "run_failed", "run_ended", "session_deleted"];
  expect(new Set(changes.map((change) => change?.type))).toEqual(new Set(types));
  expect(changes.filter((change) => change?.sessionId !== "one")).toEqual([]);
});

test("Live: reconnects to a restarted coordinator, and reports that changes were missed", async () => {
  await using c = await Fixture.start();
  using page = listen(c);
  const connections: boolean[] = [];
  page.live.onConnection(() => connections.push(page.live.isConnected));
  await until("the stream is open", () => page.live.isConnected);
  await c.start({ session_id: "one" });
  await until("the change arrives", () => page.changes.some((change) => change?.type === "session_created"));
  page.changes.length = 0;
  await c.restart();
  await until("the stream is open again", () => connections.join() === "true,false,true");
  expect(page.changes[0]).toBeNull();
  await c.start({ session_id: "two" });
  await until("the next change arrives", () => page.changes.some((change) => change?.sessionId === "two"));
});
