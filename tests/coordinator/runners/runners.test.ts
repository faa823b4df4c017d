import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

const identity = { hostname: "host", project_dir: "/work", executor_type: "test-executor" };

describe("register", () => {
  test("answers with the deterministic id, the intervals and the capabilities", async () => {
    await using c = await Fixture.start();
    const answer = await c.post("/runner/register", {
      ...identity,
      tags: ["a"],
      require_matching_tags: false,
      agents: [],
    });
    const digest = new Bun.CryptoHasher("sha256").update("host:/work:test-executor").digest("hex");
    expect(answer).toEqual({
      status: 200,
      body: {
        runner_id: `lnch_${digest.slice(0, 12)}`,
        poll_endpoint: "/runner/runs",
        poll_timeout_seconds: 30,
        heartbeat_interval_seconds: 60,
        capabilities: ["capacity", "output", "reconcile", "return"],
        keep_outcomes_seconds: expect.any(Number),
      },
    });
  });

  test("accepts executor_profile in place of executor_type; without both it is 422", async () => {
    await using c = await Fixture.start();
    const { executor_type: _, ...rest } = identity;
    const withType = await c.register();
    await c.call("DELETE", `/runners/${withType}?self=true`);
    expect(await c.register({ ...rest, executor_type: undefined, executor_profile: "test-executor" })).toBe(withType);
    expect(await c.post("/runner/register", rest)).toMatchObject({
      status: 422,
      body: { detail: [{ loc: ["body", "executor_type"] }] },
    });
    expect((await c.post("/runner/register", { executor_type: "x" })).status).toBe(422);
  });

  test("of an identity that is online is 409 and names the runner", async () => {
    await using c = await Fixture.start();
    const runner_id = await c.register();
    expect(await c.post("/runner/register", identity)).toEqual({
      status: 409,
      body: {
        detail: {
          error: "duplicate_runner",
          message: expect.any(String),
          runner_id,
          ...identity,
          poll_timeout_seconds: expect.any(Number),
          heartbeat_interval_seconds: 60,
          capabilities: ["capacity", "output", "reconcile", "return"],
          keep_outcomes_seconds: expect.any(Number),
        },
      },
    });
  });

  test("of a stale identity reconnects: same id, new tags, online", async () => {
    await using c = await Fixture.start({ staleAfterMs: 1_000 });
    const runner_id = await c.register({ tags: ["old"] });
    await until("it is stale", async () => (await c.get("/runners")).body.runners[0].status === "stale");
    expect((await c.poll(runner_id, "&capacity=0", AbortSignal.timeout(20)).catch(() => null))?.status ?? 204).toBe(
      204,
    );
    expect(await c.register({ tags: ["new"] })).toBe(runner_id);
    expect((await c.get("/runners")).body.runners).toMatchObject([{ runner_id, tags: ["new"], status: "online" }]);
  });
});

describe("GET /runners", () => {
  test("shows identity, tags, status and silence", async () => {
    await using c = await Fixture.start();
    const runner_id = await c.register({ tags: ["a"] });
    expect((await c.get("/runners")).body.runners).toEqual([
      {
        runner_id,
        ...identity,
        executor_profile: null,
        tags: ["a"],
        status: "online",
        registered_at: expect.any(String),
        last_heartbeat: expect.any(String),
        active_runs: 0,
        generation: "first",
        require_matching_tags: false,
        cannot_run: null,
        seconds_since_heartbeat: expect.any(Number),
        lost_in_seconds: null,
        registered_by: null,
        is_awaited: false,
      },
    ]);
  });
});

describe("heartbeat", () => {
  test("of an unknown runner is 401", async () => {
    await using c = await Fixture.start();
    expect(await c.post("/runner/heartbeat", { runner_id: "lnch_x" })).toEqual({
      status: 401,
      body: { detail: "Runner not registered" },
    });
  });

  test("brings a stale runner back online; without it the runner is removed and a poll is 401", async () => {
    await using c = await Fixture.start({ staleAfterMs: 1_000, removeAfterMs: 3_000 });
    const runner_id = await c.register();
    const status = async (): Promise<string | undefined> => (await c.get("/runners")).body.runners[0]?.status;
    await until("it is stale", async () => (await status()) === "stale");
    expect(await c.post("/runner/heartbeat", { runner_id })).toEqual({ status: 200, body: { ok: true } });
    expect(await status()).toBe("online");
    await until("it is removed", async () => (await status()) === undefined);
    expect((await c.poll(runner_id)).status).toBe(401);
  });
});

describe("DELETE /runners", () => {
  test("by itself removes the runner, fails its running runs and requeues its claimed runs", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const running = await c.start();
    const claimed = await c.start();
    await c.claim(runner);
    await c.report(running.run_id, "started", runner);
    await c.claim(runner);
    expect(await c.call("DELETE", `/runners/${runner}?self=true`)).toEqual({
      status: 200,
      body: { ok: true, message: "Runner deregistered", initiated_by: "self" },
    });
    expect(await c.runStatus(running.run_id)).toBe("failed");
    expect(await c.runStatus(claimed.run_id)).toBe("pending");
    expect((await c.poll(runner)).status).toBe(401);
  });

  test("by itself ends its open poll", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const waiting = c.poll(runner);
    await c.get("/health");
    await c.call("DELETE", `/runners/${runner}?self=true`);
    expect((await waiting).body).toEqual({ deregistered: true });
  });

  test("from outside answers the open poll with deregistered, then the runner is unknown", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const waiting = c.poll(runner, "&capacity=0");
    await c.get("/health");
    expect(await c.call("DELETE", `/runners/${runner}`)).toEqual({
      status: 200,
      body: { ok: true, message: "Runner marked for deregistration", initiated_by: "external" },
    });
    expect((await waiting).body).toEqual({ deregistered: true });
    expect((await c.poll(runner)).status).toBe(401);
  });

  test("from outside: the next poll answers deregistered; a new registration can report running runs", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start();
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    await c.call("DELETE", `/runners/${runner}`);
    expect((await c.poll(runner)).body).toEqual({ deregistered: true });
    expect((await c.report(run_id, "completed", runner)).status).toBe(401);
    expect(await c.register()).toBe(runner);
    expect((await c.report(run_id, "completed", runner)).status).toBe(200);
  });

  test("of an unknown runner is 404", async () => {
    await using c = await Fixture.start();
    expect((await c.call("DELETE", "/runners/lnch_x")).status).toBe(404);
    expect((await c.call("DELETE", "/runners/lnch_x?self=true")).status).toBe(404);
  });

  test("lets the identity register again before the runner has polled", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await c.call("DELETE", `/runners/${runner}`);
    expect(await c.register()).toBe(runner);
  });
});
