import { describe, expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const usage = (session_id: string, fields: object, event_type = "usage"): object => ({
  event_type,
  session_id,
  ...fields,
});

/** Starts a child session of `parent`, sends a usage event in its run, and completes the run. */
async function work(
  c: Fixture,
  runner: string,
  session_id: string,
  parent: string | null,
  cost: number,
): Promise<void> {
  await c.start({ session_id, ...(parent === null ? {} : { parent_session_id: parent }) });
  const run = await c.claim(runner);
  await c.report(run.run_id, "started", runner);
  await c.post(
    `/sessions/${session_id}/events`,
    usage(session_id, { total_cost_usd: cost, num_turns: 1, usage: { input_tokens: 10, output_tokens: 1 } }),
  );
  await c.report(run.run_id, "completed", runner);
}

describe("usage", () => {
  test("of a run is its last usage event; of a session, the sum over its runs", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start();
    await c.claim(runner);
    const send = (fields: object, type?: string): Promise<unknown> =>
      c.post(`/sessions/${session_id}/events`, usage(session_id, fields, type));
    await send({ total_cost_usd: 0.5, num_turns: 2 });
    await send(
      { total_cost_usd: 0.75, usage: { input_tokens: 5, cache_read_input_tokens: 100, output_tokens: 7 } },
      "result",
    );
    const first = { total_cost_usd: 0.75, num_turns: 2, input_tokens: 105, output_tokens: 7 };
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject(first);
    expect((await c.get(`/sessions/${session_id}`)).body.session).toMatchObject(first);
    await c.report(run_id, "completed", runner);
    const second = await c.resume(session_id);
    await c.claim(runner);
    await send({ total_cost_usd: 0.25, num_turns: 1 }, "session_stop");
    expect((await c.get(`/runs/${second.run_id}`)).body).toMatchObject({
      total_cost_usd: 0.25,
      num_turns: 1,
      input_tokens: null,
    });
    expect((await c.get(`/sessions/${session_id}`)).body.session).toMatchObject({
      ...first,
      total_cost_usd: 1,
      num_turns: 3,
    });
  });

  test("ignores nonsense without refusing it, and ignores the usage of a message", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await c.start();
    await c.claim(runner);
    for (const [fields, type] of [
      [{ total_cost_usd: "1", num_turns: -3, usage: "much" }, "usage"],
      [{ total_cost_usd: Number.MAX_VALUE, usage: { input_tokens: 1.5 } }, "result"],
      [{ usage: { input_tokens: 5 } }, "message"],
    ] as const) {
      expect((await c.post(`/sessions/${session_id}/events`, usage(session_id, fields, type))).status).toBe(200);
    }
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({
      total_cost_usd: null,
      num_turns: null,
      input_tokens: null,
    });
  });

  test("that arrives while no run is active counts for the session", async () => {
    await using c = await Fixture.start();
    const { run_id, session_id } = await c.start();
    await c.post(`/sessions/${session_id}/events`, usage(session_id, { total_cost_usd: 2 }));
    expect((await c.get(`/sessions/${session_id}`)).body.session.total_cost_usd).toBe(2);
    expect((await c.get(`/runs/${run_id}`)).body.total_cost_usd).toBeNull();
  });
});

describe("tree", () => {
  test("has each session with its depth, its last event and the sums over its descendants", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await work(c, runner, "top", null, 1);
    await work(c, runner, "a", "top", 2);
    await work(c, runner, "a1", "a", 4);
    await work(c, runner, "elsewhere", null, 99);
    await c.start({ session_id: "b", parent_session_id: "top" });
    const { sessions, is_cut } = (await c.get("/trees/top")).body;
    expect(is_cut).toBe(false);
    // oxlint-disable-next-line typescript/no-explicit-any
    const shown = sessions.map((each: any) => [
      each.session_id,
      each.depth,
      each.roll_up.sessions,
      each.roll_up.total_cost_usd,
      each.last_event?.event_type,
    ]);
    expect(shown).toEqual([
      ["top", 0, 4, 7, "usage"],
      ["a", 1, 2, 6, "usage"],
      ["b", 1, 1, 0, undefined],
      ["a1", 2, 1, 4, "usage"],
    ]);
    expect(sessions[0].roll_up).toMatchObject({
      by_status: { finished: 3, pending: 1 },
      num_turns: 3,
      input_tokens: 30,
      output_tokens: 3,
    });
    expect((await c.get("/trees/nobody")).status).toBe(404);
  });

  test("GET /trees lists the root sessions, newest first, with the sums of their trees", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await work(c, runner, "one", null, 1);
    await work(c, runner, "two", null, 1);
    await work(c, runner, "below", "one", 5);
    const { trees, next_cursor } = (await c.get("/trees?limit=1")).body;
    expect(trees).toMatchObject([
      { session_id: "two", roll_up: { sessions: 1, total_cost_usd: 1 }, last_event: { event_type: "usage" } },
    ]);
    expect((await c.get(`/trees?cursor=${next_cursor}`)).body).toMatchObject({
      trees: [{ session_id: "one", roll_up: { sessions: 2, total_cost_usd: 6 } }],
      next_cursor: null,
    });
    expect((await c.get("/trees?status=finished&limit=5")).body.trees).toHaveLength(2);
    expect((await c.get("/trees")).body.trees).toHaveLength(2);
  });
});

describe("GET /stats", () => {
  test("counts current and ended runs, and their waiting and run times", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await work(c, runner, "done", null, 0.5);
    await c.start({ session_id: "failing" });
    await c.execute(runner, "failed");
    const { session_id } = await c.start();
    await c.claim(runner);
    await c.resume(session_id);
    await c.start({ not_before: "2099-01-01T00:00:00Z" });
    await c.start({ additional_demands: { tags: ["gpu"] } });
    const { runs, runners, hours, wait, run } = (await c.get("/stats?hours=1")).body;
    expect(runs).toEqual({ pending: { time: 1, retry: 0, turn: 1, runner: 1 }, claimed: 1, running: 0, stopping: 0 });
    expect(runners).toEqual({ online: 1, stale: 0 });
    const total = (name: string): number =>
      hours.reduce((sum: number, hour: Record<string, number>) => sum + (hour[name] ?? 0), 0);
    expect(["completed", "failed", "stopped", "total_cost_usd"].map(total)).toEqual([1, 1, 0, 0.5]);
    for (const steps of [wait, run]) {
      expect(steps.reduce((sum: number, step: { runs: number }) => sum + step.runs, 0)).toBe(2);
      expect(steps.at(-1).up_to_ms).toBeNull();
    }
    expect((await c.get("/stats?hours=0")).status).toBe(422);
  });
});

test("a session's title is the beginning of its first prompt", async () => {
  await using c = await Fixture.start();
  await c.start({ session_id: "long", prompt: "x".repeat(1_000) });
  await c.start({ session_id: "short", prompt: "Find it", parent_session_id: "long" });
  expect((await c.get("/trees")).body.trees).toMatchObject([{ session_id: "long", title: "x".repeat(300) }]);
  expect((await c.get("/trees/long")).body.sessions).toMatchObject([{ title: "x".repeat(300) }, { title: "Find it" }]);
});

test("GET /trees?active=true lists only trees with an open run at any depth, in pages", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  for (const top of ["a", "b", "c", "d"]) await work(c, runner, top, null, 0);
  await work(c, runner, "a1", "a", 0);
  await c.start({ session_id: "a2", parent_session_id: "a1" });
  await c.claim(runner);
  await c.start({ session_id: "c1", parent_session_id: "c" });
  await c.start({ session_id: "later", not_before: "2099-01-01T00:00:00Z" });
  const ids = async (path: string): Promise<string[]> =>
    (await c.get(path)).body.trees.map((each: { session_id: string }) => each.session_id);
  expect(await ids("/trees?active=true")).toEqual(["c", "a"]);
  expect(await ids("/trees?active=true&order=asc&limit=1")).toEqual(["a"]);
  const { next_cursor } = (await c.get("/trees?active=true&limit=1")).body;
  expect(await ids(`/trees?active=true&cursor=${next_cursor}`)).toEqual(["a"]);
});
