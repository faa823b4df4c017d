import { describe, expect, test } from "bun:test";
import { type Answer, Fixture } from "../fixture.ts";

const A = { hostname: "a" };
const B = { hostname: "b" };

describe("returned", () => {
  test("makes the run pending at its old place, without costing an attempt, and says why", async () => {
    await using c = await Fixture.start();
    const a = await c.register(A);
    const first = await c.start();
    await c.start();
    await c.claim(a);
    await c.report(first.run_id, "started", a);
    expect((await c.report(first.run_id, "returned", a, { error: "no login" })).status).toBe(200);
    expect((await c.get(`/runs/${first.run_id}`)).body).toMatchObject({
      status: "pending",
      waiting_for: "runner",
      attempt: 1,
      returns: 1,
      runner_id: null,
      started_at: null,
      note: expect.stringMatching(/^Given back by a at .*: no login$/),
    });
    expect(await c.sessionStatus(first.session_id)).toBe("pending");
    expect((await c.claim(await c.register(B))).run_id).toBe(first.run_id);
    expect((await c.get(`/runs/${first.run_id}`)).body.note).toBe(null);
  });

  test("a repeated report changes nothing, and another runner's neither", async () => {
    await using c = await Fixture.start();
    const [a, b] = [await c.register(A), await c.register(B)];
    const { run_id } = await c.start();
    await c.claim(a);
    for (let i = 0; i < 2; i++) await c.report(run_id, "returned", a, { error: "x" });
    await c.claim(b);
    await c.report(run_id, "returned", a, { error: "x" });
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({ status: "claimed", runner_id: b, returns: 1 });
  });

  test("a run that comes back again waits, longer each time", async () => {
    await using c = await Fixture.start();
    const a = await c.register(A);
    const { run_id } = await c.start();
    await c.claim(a);
    await c.report(run_id, "returned", a, { error: "x" });
    await c.claim(a);
    await c.report(run_id, "returned", a, { error: "x" });
    const { body } = await c.get(`/runs/${run_id}`);
    expect(body).toMatchObject({ status: "pending", waiting_for: "retry", returns: 2 });
    expect(Date.parse(body.not_before) - Date.now()).toBeGreaterThan(5_000);
  });

  test("a run that was stopped meanwhile is stopped", async () => {
    await using c = await Fixture.start();
    const a = await c.register(A);
    const { run_id } = await c.start();
    await c.claim(a);
    await c.report(run_id, "started", a);
    await c.post(`/runs/${run_id}/stop`);
    await c.report(run_id, "returned", a, { error: "x" });
    expect(await c.runStatus(run_id)).toBe("stopped");
  });
});

describe("another runner that waits is preferred", () => {
  const retry = { max_attempts: 2, retry_delay_seconds: 2 };

  /** Two open polls: A's came first, and A has failed a run with these demands. */
  async function failedAtA(
    c: Fixture,
    more: object,
  ): Promise<{ first: string; a: Promise<Answer>; b: Promise<Answer> }> {
    const [idA, idB] = [await c.register(A), await c.register(B)];
    const { run_id } = await c.start({ ...retry, ...more });
    await c.claim(idA);
    await c.report(run_id, "started", idA);
    await c.report(run_id, "failed", idA, { error: "x", reason: "temporary" });
    return { first: run_id, a: c.poll(idA), b: c.poll(idB) };
  }

  test("for a retry", async () => {
    await using c = await Fixture.start();
    const { first, a, b } = await failedAtA(c, {});
    expect((await b).body.run.retry_of).toBe(first);
    // The others of the queue go to any that waits.
    const next = await c.start();
    expect((await a).body.run.run_id).toBe(next.run_id);
  });

  test("unless the demands need this one", async () => {
    await using c = await Fixture.start();
    const { first, a, b } = await failedAtA(c, { additional_demands: { hostname: "a" } });
    expect((await a).body.run.retry_of).toBe(first);
    const next = await c.start();
    expect((await b).body.run.run_id).toBe(next.run_id);
  });

  test("if none waits, the same runner gets the run again", async () => {
    await using c = await Fixture.start();
    const a = await c.register(A);
    await c.register(B);
    const { run_id } = await c.start();
    await c.claim(a);
    await c.report(run_id, "returned", a, { error: "x" });
    expect((await c.claim(a)).run_id).toBe(run_id);
  });
});

test("GET /runners shows why a runner takes no runs, until it takes them again", async () => {
  await using c = await Fixture.start();
  const a = await c.register(A);
  const shown = async () => (await c.get("/runners")).body.runners[0].cannot_run;
  await c.post("/runner/heartbeat", { runner_id: a, held: [], cannot_run: "no login" });
  expect(await shown()).toBe("no login");
  await c.post("/runner/heartbeat", { runner_id: a, held: [] });
  expect(await shown()).toBe(null);
});
