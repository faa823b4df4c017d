import { expect, test } from "bun:test";
import { Live, type News } from "../../src/dashboard/live.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { until } from "../harness/until.ts";

/** The page's stream of a real coordinator, wherever that is by now. */
function listen(c: Fixture): { live: Live; news: News[] } & Disposable {
  const live = new Live({ open: async (path, init) => await fetch(c.coordinator.url + path, init) });
  const news: News[] = [];
  live.onNews((each) => news.push(each));
  live.start();
  return { live, news, [Symbol.dispose]: () => live.stop() };
}

test("news names the session, whatever has happened there", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  using page = listen(c);
  // Nothing is known of what was before.
  await until("it listens", () => page.news.length === 1 && page.news[0] === null);
  await c.start({ session_id: "one" });
  const run = await c.claim(runner);
  await c.say("one", "hi");
  await c.post(`/runner/runs/${run.run_id}/failed`, { runner_id: runner, error: "no" });
  await c.call("DELETE", "/sessions/one");
  await until("it was told of the end", () => page.news.some((each) => each?.type === "session_deleted"));
  const told = page.news.slice(1);
  const types = ["session_created", "session_updated", "event", "run_failed", "run_ended", "session_deleted"];
  expect(new Set(told.map((each) => each?.type))).toEqual(new Set(types));
  expect(told.filter((each) => each?.sessionId !== "one")).toEqual([]);
});

test("a coordinator that is started again is heard again, and all that it may have done meanwhile is news", async () => {
  await using c = await Fixture.start();
  using page = listen(c);
  const connections: boolean[] = [];
  page.live.onConnection(() => connections.push(page.live.isConnected));
  await until("it listens", () => page.live.isConnected);
  await c.start({ session_id: "one" });
  await until("it was told", () => page.news.some((each) => each?.type === "session_created"));
  page.news.length = 0;
  await c.restart();
  await until("it listens again", () => connections.join() === "true,false,true");
  expect(page.news[0]).toBeNull();
  await c.start({ session_id: "two" });
  await until("it was told of the other", () => page.news.some((each) => each?.sessionId === "two"));
});
