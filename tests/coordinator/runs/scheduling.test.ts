import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { IS_POSTGRES } from "../../harness/postgres.ts";
import { Fixture } from "../fixture.ts";

const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

describe("priority", () => {
  test("the highest is claimed first, then the oldest, whatever the demands", async () => {
    await using c = await Fixture.start();
    const runner = await c.register({ tags: ["a"] });
    for (const [session_id, priority, tags] of [
      ["low", -1, []],
      ["first", 0, []],
      ["second", undefined, ["a"]],
      ["high", 5, ["a"]],
      ["third", 0, []],
      ["not-mine", 100, ["b"]],
    ] as const) {
      await c.start({ session_id, priority, additional_demands: { tags } });
    }
    const order: string[] = [];
    for (let i = 0; i < 5; i++) order.push((await c.claim(runner)).session_id);
    expect(order).toEqual(["high", "first", "second", "third", "low"]);
  });

  test("does not let a run overtake an earlier one of its session", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const first = await c.start();
    const urgent = await c.resume(first.session_id, { priority: 9 });
    expect((await c.execute(runner, "completed")).run_id).toBe(first.run_id);
    expect((await c.claim(runner)).run_id).toBe(urgent.run_id);
  });

  test("outside -1000 to 1000, or not a whole number, is 422", async () => {
    await using c = await Fixture.start();
    for (const priority of [1001, -1001, 0.5, "1"]) {
      expect((await c.post("/runs", { type: "start_session", prompt: "x", priority })).status).toBe(422);
    }
  });
});

describe("not_before", () => {
  test("a run is not claimed earlier, and goes to a waiting poll at that time", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const not_before = inMs(1_000);
    const scheduled = await c.start({ not_before });
    expect((await c.get(`/runs/${scheduled.run_id}`)).body).toMatchObject({
      status: "pending",
      waiting_for: "time",
      not_before,
    });
    const other = await c.start();
    expect((await c.claim(runner)).run_id).toBe(other.run_id);
    expect((await c.claim(runner)).run_id).toBe(scheduled.run_id);
    expect(new Date().toISOString() >= not_before).toBe(true);
  });

  test("is stored in UTC; an invalid time is 422", async () => {
    await using c = await Fixture.start();
    const { run_id } = await c.start({ not_before: "2099-01-31T09:00:00+02:00" });
    expect((await c.get(`/runs/${run_id}`)).body.not_before).toBe("2099-01-31T07:00:00.000Z");
    for (const not_before of ["tomorrow", "2099-01-31", "2099-01-31T09:00:00", "2099-13-31T09:00:00Z"]) {
      expect((await c.post("/runs", { type: "start_session", prompt: "x", not_before })).status).toBe(422);
    }
  });

  test("of a run delays neither other runs of the session nor callbacks; then the run waits for its turn", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { session_id } = await c.start();
    await c.execute(runner, "completed");
    const later = await c.resume(session_id, { not_before: inMs(1_000) });
    const now = await c.resume(session_id);
    await c.start({ parent_session_id: session_id, execution_mode: "async_callback" });
    expect((await c.claim(runner)).run_id).toBe(now.run_id);
    await c.execute(runner, "completed", "child's result");
    await until("its time has come", async () => (await c.get(`/runs/${later.run_id}`)).body.waiting_for === "turn");
    await c.report(now.run_id, "completed", runner);
    expect((await c.claim(runner)).run_id).toBe(later.run_id);
    await c.report(later.run_id, "completed", runner);
    expect((await c.claim(runner)).prompt).toContain("child's result");
  });

  test("survives a restart, also if the time passed meanwhile", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const soon = await c.start({ not_before: inMs(60) });
    const later = await c.start({ not_before: inMs(3_600_000) });
    await c.coordinator.close();
    const began = Date.now();
    await until("its time has passed", () => Date.now() - began > 80);
    await c.restart();
    expect((await c.claim(runner)).run_id).toBe(soon.run_id);
    expect((await c.get(`/runs/${later.run_id}`)).body.waiting_for).toBe("time");
  });

  test("a run that is stopped before its time ends at once, with its session", async () => {
    await using c = await Fixture.start();
    const { run_id, session_id } = await c.start({ not_before: inMs(3_600_000) });
    expect((await c.post(`/sessions/${session_id}/stop`)).body).toMatchObject({ run_id, status: "stopped" });
    expect(await c.sessionStatus(session_id)).toBe("stopped");
  });
});

describe("ttl_seconds", () => {
  test("a run that no runner claims in time fails as expired; a claimed run does not", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const taken = await c.start({ ttl_seconds: 1 });
    await c.claim(runner);
    const { run_id, session_id } = await c.start({ ttl_seconds: 0.05 });
    await until("it has failed", async () => (await c.runStatus(run_id)) === "failed");
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({
      reason: "expired",
      error: "The run was not started within its time to live",
    });
    expect(await c.sessionStatus(session_id)).toBe("failed");
    const later = await c.start({ ttl_seconds: 1 });
    await until("a later one has failed", async () => (await c.runStatus(later.run_id)) === "failed");
    expect(await c.runStatus(taken.run_id)).toBe("claimed");
  });

  test("counts from when the run may start", async () => {
    await using c = await Fixture.start();
    const { run_id } = await c.start({ ttl_seconds: 60, not_before: "2099-01-01T00:00:00Z" });
    expect((await c.get(`/runs/${run_id}`)).body.expires_at).toBe("2099-01-01T00:01:00.000Z");
  });

  test("of a run that waits for its turn ends the run; the next run keeps its turn", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start();
    await c.claim(runner);
    const short = await c.resume(session_id, { ttl_seconds: 0.03 });
    const next = await c.resume(session_id);
    await until("it has failed", async () => (await c.runStatus(short.run_id)) === "failed");
    expect(await c.sessionStatus(session_id)).toBe("running");
    await c.report(run_id, "completed", runner);
    expect((await c.claim(runner)).run_id).toBe(next.run_id);
  });

  // Where transactions run beside each other, the second may be ended before the poll has claimed it.
  test.skipIf(IS_POSTGRES)(
    "over for two runs at once: the second runs if the end of the first lets a runner claim it",
    async () => {
      await using c = await Fixture.start();
      const runner = await c.register();
      const times = { not_before: inMs(1_000), ttl_seconds: 1 };
      // Open before either is over, however slow the machine is.
      const claimed = c.claim(runner);
      const first = await c.start({ ...times, additional_demands: { tags: ["gpu"] } });
      const second = await c.resume(first.session_id, times);
      expect((await claimed).run_id).toBe(second.run_id);
      expect(await c.runStatus(first.run_id)).toBe("failed");
      expect(await c.runStatus(second.run_id)).toBe("claimed");
      expect((await c.report(second.run_id, "started", runner)).status).toBe(200);
    },
  );
});
