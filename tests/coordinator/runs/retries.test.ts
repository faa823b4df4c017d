import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

const policy = { max_attempts: 3, retry_delay_seconds: 0 };

describe("a run with max_attempts", () => {
  test("that fails for a transient reason is retried as another run, up to max_attempts", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id: first, session_id } = await c.start({
      ...policy,
      priority: 3,
      additional_demands: { hostname: "host" },
    });
    const attempts = [first];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const run = await c.claim(runner);
      expect(run).toMatchObject({
        run_id: attempts.at(-1),
        session_id,
        attempt,
        max_attempts: 3,
        priority: 3,
        prompt: "do it",
        type: "start_session",
      });
      await c.report(run.run_id, "started", runner);
      expect((await c.report(run.run_id, "failed", runner, { reason: "temporary" })).status).toBe(200);
      const ended = (await c.get(`/runs/${run.run_id}`)).body;
      expect(ended).toMatchObject({ status: "failed", error: "it broke", reason: "temporary" });
      expect(await c.sessionStatus(session_id)).toBe(attempt < 3 ? "pending" : "failed");
      if (attempt === 3) expect(ended.retried_by).toBeNull();
      else attempts.push(ended.retried_by);
      // A repeated report, as after a lost answer, changes nothing.
      expect((await c.report(run.run_id, "failed", runner, { reason: "temporary" })).status).toBe(200);
    }
    const { runs } = (await c.get("/runs")).body;
    expect(runs.map((run: { run_id: string; retry_of: string }) => [run.run_id, run.retry_of])).toEqual(
      attempts.map((id, index) => [id, attempts[index - 1] ?? null]),
    );
  });

  test.each([
    ["a later time than the pause", 3_600_000, 3_600_000],
    ["an earlier one", 1_000, 60_000],
    ["one in the past", -5_000, 60_000],
    ["one in the far future", 400 * 86_400_000, 35 * 86_400_000],
    ["no time", null, 60_000],
  ])("waits for the retry_at of its executor: %s", async (_what, told, expected) => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start({ max_attempts: 2, retry_delay_seconds: 60 });
    await c.claim(runner);
    const at = Date.now();
    const retry_at = told === null ? "soon" : new Date(at + told).toISOString();
    await c.post(`/sessions/${session_id}/events`, { event_type: "ending", session_id, retry_at });
    await c.report(run_id, "failed", runner, { reason: "temporary" });
    const { retried_by } = (await c.get(`/runs/${run_id}`)).body;
    const { not_before } = (await c.get(`/runs/${retried_by}`)).body;
    expect(Math.abs(Date.parse(not_before) - at - expected)).toBeLessThan(10_000);
    await c.restart();
    const after = (await c.get(`/runs/${retried_by}`)).body.not_before;
    expect(Math.abs(Date.parse(after) - at - expected)).toBeLessThan(10_000);
  });

  test("does not wait for the retry_at of an earlier run of its session", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { session_id } = await c.start();
    const retry_at = new Date(Date.now() + 3_600_000).toISOString();
    await c.post(`/sessions/${session_id}/events`, { event_type: "ending", session_id, retry_at });
    await c.execute(runner, "completed", "done");
    const { run_id } = await c.resume(session_id, policy);
    await c.execute(runner, "failed");
    expect((await c.get(`/runs/${run_id}`)).body.retried_by).toBeNull();
    const second = await c.resume(session_id, policy);
    await c.claim(runner);
    await c.report(second.run_id, "failed", runner, { reason: "temporary" });
    const { retried_by } = (await c.get(`/runs/${second.run_id}`)).body;
    expect(Date.parse((await c.get(`/runs/${retried_by}`)).body.not_before)).toBeLessThan(Date.now() + 10_000);
  });

  for (const reason of ["timed_out", "no-such-reason", undefined]) {
    test(`that fails for the reason ${reason} is not retried`, async () => {
      await using c = await Fixture.start();
      const runner = await c.register();
      const { run_id, session_id } = await c.start(policy);
      await c.claim(runner);
      await c.report(run_id, "failed", runner, { reason });
      expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({ status: "failed", retried_by: null });
      expect(await c.sessionStatus(session_id)).toBe("failed");
    });
  }

  test("whose runner leaves without a report is retried", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start(policy);
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    await c.call("DELETE", `/runners/${runner}?self=true`);
    const { retried_by, reason } = (await c.get(`/runs/${run_id}`)).body;
    expect(reason).toBe("runner_lost");
    expect((await c.claim(await c.register())).run_id).toBe(retried_by);
  });

  test("delays the callback to its parent until the last attempt; earlier failures are not broadcast", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const parent = await c.start();
    await c.execute(runner, "completed");
    await c.start({ ...policy, parent_session_id: parent.session_id, execution_mode: "async_callback" });
    const failing = await c.claim(runner);
    await c.report(failing.run_id, "failed", runner, { reason: "interrupted" });
    await c.execute(runner, "completed", "second time lucky");
    const resume = await c.claim(runner);
    expect(resume.session_id).toBe(parent.session_id);
    expect(resume.prompt).toContain("second time lucky");
    expect(resume.prompt).not.toContain("it broke");
    expect((await c.get("/runs")).body.runs).toHaveLength(4);
  });

  test("keeps its session's turn until its next attempt", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start({ max_attempts: 2, retry_delay_seconds: 1 });
    await c.claim(runner);
    const behind = await c.resume(session_id);
    await c.report(run_id, "failed", runner, { reason: "temporary" });
    const { retried_by } = (await c.get(`/runs/${run_id}`)).body;
    expect((await c.get(`/runs/${retried_by}`)).body.waiting_for).toBe("retry");
    expect((await c.execute(runner, "completed")).run_id).toBe(retried_by);
    expect((await c.claim(runner)).run_id).toBe(behind.run_id);
  });

  test("doubles the delay before each further attempt", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start({ max_attempts: 3, retry_delay_seconds: 0.03 });
    const pauses: number[] = [];
    for (let id = run_id; ;) {
      await c.claim(runner);
      await c.report(id, "failed", runner, { reason: "temporary" });
      const { completed_at, retried_by } = (await c.get(`/runs/${id}`)).body;
      if (retried_by === null) break;
      const { not_before } = (await c.get(`/runs/${retried_by}`)).body;
      pauses.push(Date.parse(not_before) - Date.parse(completed_at));
      id = retried_by;
    }
    expect(pauses).toHaveLength(2);
    expect(pauses[0]).toBeGreaterThanOrEqual(30);
    expect(pauses[1]).toBeGreaterThanOrEqual(60);
  });

  test("can be stopped by the id of any of its attempts", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start({ max_attempts: 2, retry_delay_seconds: 600 });
    await c.claim(runner);
    await c.report(run_id, "failed", runner, { reason: "temporary" });
    const { retried_by } = (await c.get(`/runs/${run_id}`)).body;
    expect((await c.post(`/runs/${run_id}/stop`)).body).toMatchObject({ run_id: retried_by, status: "stopped" });
    expect(await c.sessionStatus(session_id)).toBe("stopped");
    expect((await c.post(`/runs/${run_id}/stop`)).status).toBe(400);
  });

  test("is not retried after its time to live", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start({ max_attempts: 2, retry_delay_seconds: 60, ttl_seconds: 30 });
    await c.claim(runner);
    await c.report(run_id, "failed", runner, { reason: "temporary" });
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({ status: "failed", retried_by: null });
  });

  test("is retried after a restart", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start({ max_attempts: 2, retry_delay_seconds: 0.2 });
    await c.claim(runner);
    await c.report(run_id, "failed", runner, { reason: "temporary" });
    await c.restart();
    await until("it is claimed again", async () => (await c.poll(runner)).body?.run?.attempt === 2);
  });
});
