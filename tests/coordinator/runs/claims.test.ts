import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

const nothing = { status: 204, body: null };

describe("demands", () => {
  const cases: [string, Record<string, unknown>, boolean][] = [
    ["hostname", { hostname: "host" }, true],
    ["another hostname", { hostname: "elsewhere" }, false],
    ["project_dir", { project_dir: "/work" }, true],
    ["another project_dir", { project_dir: "/other" }, false],
    ["executor_type", { executor_type: "test-executor" }, true],
    ["another executor_type", { executor_type: "claude-code" }, false],
    ["executor_profile", { executor_profile: "fast" }, true],
    ["another executor_profile", { executor_profile: "slow" }, false],
    ["a subset of the tags", { tags: ["a", "b"] }, true],
    ["a tag too many", { tags: ["a", "z"] }, false],
    ["nothing", {}, true],
  ];
  for (const [name, additional_demands, matches] of cases) {
    test(`${name}: ${matches ? "claimed" : "not claimed"}`, async () => {
      await using c = await Fixture.start({ pollTimeoutMs: 20 });
      const runner = await c.register({ executor_profile: "fast", tags: ["a", "b", "c"] });
      await c.start({ additional_demands });
      expect((await c.poll(runner)).status).toBe(matches ? 200 : 204);
    });
  }

  test("a run that no runner can claim does not delay the runs behind it", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await c.start({ additional_demands: { tags: ["gpu"] } });
    const { run_id } = await c.start();
    expect((await c.claim(runner)).run_id).toBe(run_id);
  });

  test("a new run goes to the waiting runner that satisfies it", async () => {
    await using c = await Fixture.start();
    const plain = c.poll(await c.register());
    await c.get("/health");
    const gpu = c.poll(await c.register({ hostname: "gpu-host", tags: ["gpu"] }));
    await c.get("/health");
    const { run_id } = await c.start({ additional_demands: { tags: ["gpu"] } });
    expect((await gpu).body.run.run_id).toBe(run_id);
    await c.start();
    expect((await plain).status).toBe(200);
  });

  test("a Python runner of the second generation gets a resume only if there is no other for it", async () => {
    await using c = await Fixture.start({ pollTimeoutMs: 20 });
    const second = { hostname: "python", executor_type: undefined, executor_profile: "autonomous" };
    const python = await c.register(second);
    const resumeIn = async (): Promise<string> => {
      const { session_id } = await c.start();
      await c.execute(python, "completed");
      return (await c.resume(session_id)).run_id;
    };
    const alone = await resumeIn();
    expect((await c.execute(python, "failed")).run_id).toBe(alone);
    const other = await c.register();
    const resume = await resumeIn();
    expect((await c.poll(python)).status).toBe(204);
    expect((await c.claim(other)).run_id).toBe(resume);
  });

  test("blueprint and run are merged: the blueprint wins, tags are united", async () => {
    await using c = await Fixture.start();
    await c.post("/agents", { name: "a", description: "", demands: { hostname: "h1", tags: ["x", "y"] } });
    const { run_id } = await c.start({
      agent_name: "a",
      additional_demands: { hostname: "h2", project_dir: "/p", tags: ["y", "z"] },
    });
    const { demands, timeout_at } = (await c.get(`/runs/${run_id}`)).body;
    expect(demands).toEqual({ hostname: "h1", project_dir: "/p", tags: ["x", "y", "z"] });
    expect(Date.parse(timeout_at) - Date.now()).toBeGreaterThan(290_000);
  });

  test("that no runner satisfies fail the run and its session after noMatchTimeoutMs", async () => {
    await using c = await Fixture.start({ noMatchTimeoutMs: 40 });
    const { run_id, session_id } = await c.start({ additional_demands: { tags: ["gpu"] } });
    await until("the run has failed", async () => (await c.runStatus(run_id)) === "failed");
    expect((await c.get(`/runs/${run_id}`)).body.error).toBe("No matching runner available within timeout");
    expect(await c.sessionStatus(session_id)).toBe("failed");
  });

  test("the time-out for a runner begins when the run's turn in its session comes", async () => {
    await using c = await Fixture.start({ noMatchTimeoutMs: 40 });
    const runner = await c.register();
    const first = await c.start();
    await c.claim(runner);
    const second = await c.resume(first.session_id, { additional_demands: { tags: ["gpu"] } });
    const other = await c.start({ additional_demands: { tags: ["gpu"] } });
    await until("a run that was offered has timed out", async () => (await c.runStatus(other.run_id)) === "failed");
    expect(await c.runStatus(second.run_id)).toBe("pending");
    const before = (await c.get(`/runs/${second.run_id}`)).body.timeout_at;
    await c.report(first.run_id, "completed", runner);
    expect((await c.get(`/runs/${second.run_id}`)).body.timeout_at > before).toBe(true);
    await until("the second run has timed out", async () => (await c.runStatus(second.run_id)) === "failed");
  });
});

describe("one session", () => {
  test("has one active run at a time, which does not delay the runs of other sessions", async () => {
    await using c = await Fixture.start({ pollTimeoutMs: 30 });
    const runner = await c.register();
    const first = await c.start();
    const second = await c.resume(first.session_id);
    const other = await c.start();
    expect((await c.claim(runner)).run_id).toBe(first.run_id);
    expect((await c.claim(runner)).run_id).toBe(other.run_id);
    expect(await c.poll(runner)).toEqual(nothing);
    await c.report(first.run_id, "started", runner);
    expect(await c.poll(runner)).toEqual(nothing);
    await c.post(`/runs/${first.run_id}/stop`);
    expect((await c.poll(runner)).body).toEqual({ stop_runs: [first.run_id] });
    expect(await c.poll(runner)).toEqual(nothing);
    await c.report(first.run_id, "stopped", runner);
    expect((await c.claim(runner)).run_id).toBe(second.run_id);
  });

  test("whose run ends wakes a waiting poll with its next run", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const first = await c.start();
    await c.claim(runner);
    const second = await c.resume(first.session_id);
    const waiting = c.poll(runner);
    await c.get("/health");
    await c.report(first.run_id, "completed", runner);
    expect((await waiting).body.run.run_id).toBe(second.run_id);
  });

  test("executes its resumes in order even if a runner could claim only the later one", async () => {
    await using c = await Fixture.start({ pollTimeoutMs: 20 });
    const runner = await c.register();
    const { session_id } = await c.start();
    await c.execute(runner, "completed");
    await c.resume(session_id, { additional_demands: { tags: ["gpu"] } });
    await c.resume(session_id);
    expect(await c.poll(runner)).toEqual(nothing);
  });
});

describe("a claim", () => {
  test("without started goes back to pending at its old place, and to a waiting poll", async () => {
    await using c = await Fixture.start({ claimLeaseMs: 1_000 });
    const [lost, other] = [await c.register(), await c.register({ hostname: "other" })];
    const { run_id, session_id } = await c.start();
    await c.claim(lost);
    const waiting = c.poll(other);
    const run = (await waiting).body.run;
    expect(run).toMatchObject({ run_id, runner_id: other, status: "claimed" });
    const late = await c.report(run_id, "started", lost);
    expect(late.status).toBe(409);
    expect(late.body.detail).toContain(run_id);
    expect((await c.report(run_id, "started", other)).status).toBe(200);
    expect(await c.sessionStatus(session_id)).toBe("running");
  });

  test("whose lease ended leaves the session as it was before", async () => {
    await using c = await Fixture.start({ claimLeaseMs: 1_000 });
    const runner = await c.register();
    const { session_id } = await c.start();
    await c.execute(runner, "completed");
    const { run_id } = await c.resume(session_id);
    await c.claim(runner);
    expect(await c.sessionStatus(session_id)).toBe("running");
    await until("the lease has ended", async () => (await c.runStatus(run_id)) === "pending");
    expect(await c.sessionStatus(session_id)).toBe("finished");
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({ runner_id: null, claimed_at: null });
  });

  test("is renewed by heartbeats of its runner that name it", async () => {
    await using c = await Fixture.start({ claimLeaseMs: 1_000 });
    const [runner, other] = [await c.register(), await c.register({ hostname: "other" })];
    const { run_id } = await c.start();
    const { run_id: unrenewed } = await c.start();
    await c.claim(runner);
    await c.claim(runner);
    await until("the lease of the other claim has ended", async () => {
      await c.post("/runner/heartbeat", { runner_id: runner, claimed_run_ids: [run_id] });
      await c.post("/runner/heartbeat", { runner_id: other, claimed_run_ids: [unrenewed] });
      return (await c.runStatus(unrenewed)) === "pending";
    });
    expect(await c.runStatus(run_id)).toBe("claimed");
    await until("the lease has ended", async () => (await c.runStatus(run_id)) === "pending");
  });

  test("has no lease after started", async () => {
    await using c = await Fixture.start({ claimLeaseMs: 1_000 });
    const runner = await c.register();
    const started = await c.start();
    await c.claim(runner);
    await c.report(started.run_id, "started", runner);
    const lapsing = await c.start();
    await c.claim(runner);
    await until("the lease of a later claim has ended", async () => (await c.runStatus(lapsing.run_id)) === "pending");
    expect(await c.runStatus(started.run_id)).toBe("running");
  });
});
