import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

test("counts: pending and active runs, endings since the start, and answers", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "a" });
  await c.resume("a");
  await c.start({ session_id: "later", not_before: "2999-01-01T00:00:00Z" });
  const first = await c.claim(runner);
  await c.post(`/runner/runs/${first.run_id}/started`, { runner_id: runner });
  await c.get("/runs/none");
  expect(await c.coordinator.counts()).toMatchObject({
    runs: { pending: { time: 1, retry: 0, turn: 1, runner: 0 }, claimed: 0, running: 1, stopping: 0 },
    runners: { online: 1, stale: 0 },
    ended: { completed: 0, failed: 0, stopped: 0 },
    answers: { "4xx": 1, "5xx": 0 },
  });
  await c.post(`/runner/runs/${first.run_id}/completed`, { runner_id: runner });
  expect(await c.coordinator.counts()).toMatchObject({
    runs: { pending: { turn: 0, runner: 1 }, running: 0 },
    ended: { completed: 1 },
  });
});
