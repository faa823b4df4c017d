import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

type State = "pending" | "claimed" | "running" | "stopping" | "completed" | "failed" | "stopped";
type Report = "started" | "completed" | "failed" | "stopped";

/** Every report in every state: the answer's status and the run's status after it. */
const MOVES: Record<State, Record<Report, [number, State]>> = {
  pending: {
    started: [409, "pending"],
    completed: [409, "pending"],
    failed: [409, "pending"],
    stopped: [409, "pending"],
  },
  claimed: {
    started: [200, "running"],
    completed: [200, "completed"],
    failed: [200, "failed"],
    stopped: [200, "stopped"],
  },
  running: {
    started: [200, "running"],
    completed: [200, "completed"],
    failed: [200, "failed"],
    stopped: [200, "stopped"],
  },
  stopping: {
    started: [200, "stopping"],
    completed: [200, "completed"],
    failed: [200, "failed"],
    stopped: [200, "stopped"],
  },
  completed: {
    started: [409, "completed"],
    completed: [200, "completed"],
    failed: [409, "completed"],
    stopped: [409, "completed"],
  },
  failed: { started: [409, "failed"], completed: [409, "failed"], failed: [200, "failed"], stopped: [409, "failed"] },
  stopped: {
    started: [409, "stopped"],
    completed: [409, "stopped"],
    failed: [409, "stopped"],
    stopped: [200, "stopped"],
  },
};

async function runIn(
  state: State,
  c: Fixture,
  runner: string,
  fields: Record<string, unknown> = {},
): Promise<{ run_id: string; session_id: string }> {
  const run = await c.start(fields);
  if (state === "pending") return run;
  await c.claim(runner);
  if (state === "claimed") return run;
  await c.report(run.run_id, "started", runner);
  if (state === "running") return run;
  if (state === "stopping") await c.post(`/runs/${run.run_id}/stop`);
  else await c.report(run.run_id, state, runner);
  return run;
}

describe("report", () => {
  for (const [state, reports] of Object.entries(MOVES) as [State, Record<Report, [number, State]>][]) {
    for (const [report, [status, after]] of Object.entries(reports) as [Report, [number, State]][]) {
      test(`${report} on a ${state} run: ${status}, ${after}`, async () => {
        await using c = await Fixture.start();
        const runner = await c.register();
        const { run_id } = await runIn(state, c, runner);
        const before = (await c.get(`/runs/${run_id}`)).body;
        const answer = await c.report(run_id, report, runner);
        expect(answer.status).toBe(status);
        const now = (await c.get(`/runs/${run_id}`)).body;
        expect(now.status).toBe(after);
        if (status === 409) {
          expect(answer.body.detail).toBeString();
          expect(now).toEqual(before);
        }
      });
    }
  }

  test("of an unknown run is 404, from an unregistered runner 401, on another's run 409", async () => {
    await using c = await Fixture.start();
    const [runner, other] = [await c.register(), await c.register({ hostname: "other" })];
    const { run_id } = await runIn("running", c, runner);
    for (const what of ["started", "completed", "failed", "stopped"]) {
      expect((await c.report("run_000000000000", what, runner)).status).toBe(404);
      expect(await c.report(run_id, what, "lnch_nobody")).toEqual({
        status: 401,
        body: { detail: "Runner not registered" },
      });
      expect((await c.report(run_id, what, other)).status).toBe(409);
    }
    expect(await c.runStatus(run_id)).toBe("running");
  });

  test("failed without error is 422; with an error, the run keeps the error", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await runIn("running", c, runner);
    expect((await c.post(`/runner/runs/${run_id}/failed`, { runner_id: runner })).status).toBe(422);
    await c.report(run_id, "failed", runner, { error: "exit 3" });
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({
      status: "failed",
      error: "exit 3",
      completed_at: expect.any(String),
    });
  });

  for (const [ending, status] of [
    ["completed", "finished"],
    ["failed", "failed"],
    ["stopped", "stopped"],
  ] as const) {
    test(`${ending} sets the session ${status}`, async () => {
      await using c = await Fixture.start();
      const { session_id } = await c.start();
      await c.execute(await c.register(), ending);
      expect(await c.sessionStatus(session_id)).toBe(status);
    });
  }

  test("started of a run that was stopped while claimed leaves run and session stopping", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await runIn("claimed", c, runner);
    await c.post(`/runs/${run_id}/stop`);
    expect((await c.report(run_id, "started", runner)).status).toBe(200);
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({ status: "stopping", started_at: expect.any(String) });
    expect(await c.sessionStatus(session_id)).toBe("stopping");
  });

  test("started sets the session running, and last_resumed_at for a resume only", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { session_id } = await c.start();
    await c.execute(runner, "completed");
    expect((await c.get(`/sessions/${session_id}`)).body.session.last_resumed_at).toBeNull();
    const { run_id } = await c.resume(session_id);
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    expect((await c.get(`/sessions/${session_id}`)).body.session).toMatchObject({
      status: "running",
      last_resumed_at: expect.any(String),
    });
  });
});

describe("stop", () => {
  test("of a pending run stops it at once, and its session that never ran", async () => {
    await using c = await Fixture.start({ pollTimeoutMs: 20 });
    const { run_id, session_id } = await c.start();
    const answer = await c.post(`/runs/${run_id}/stop`);
    expect(answer).toMatchObject({ status: 200, body: { ok: true, run_id, session_id, status: "stopped" } });
    expect(await c.sessionStatus(session_id)).toBe("stopped");
    expect((await c.poll(await c.register())).status).toBe(204);
  });

  test("of a pending resume leaves the session's result as it was", async () => {
    await using c = await Fixture.start();
    const { session_id } = await c.start();
    await c.execute(await c.register(), "completed", "answer");
    await c.post(`/runs/${(await c.resume(session_id)).run_id}/stop`);
    expect((await c.get(`/sessions/${session_id}/result`)).body).toMatchObject({ result: "answer" });
  });

  for (const state of ["claimed", "running"] as const) {
    test(`of a ${state} run makes run and session stopping and answers the runner's open poll`, async () => {
      await using c = await Fixture.start();
      const runner = await c.register();
      const { run_id, session_id } = await runIn(state, c, runner);
      const waiting = c.poll(runner);
      await c.get("/health");
      expect((await c.post(`/runs/${run_id}/stop`)).body).toMatchObject({
        ok: true,
        run_id,
        session_id,
        status: "stopping",
      });
      expect((await waiting).body).toEqual({ stop_runs: [run_id] });
      expect(await c.sessionStatus(session_id)).toBe("stopping");
    });
  }

  test("of a stopping run succeeds", async () => {
    await using c = await Fixture.start();
    const { run_id } = await runIn("stopping", c, await c.register());
    expect(await c.post(`/runs/${run_id}/stop`)).toMatchObject({ status: 200, body: { status: "stopping" } });
  });

  for (const state of ["completed", "failed", "stopped"] as const) {
    test(`of a ${state} run is 400`, async () => {
      await using c = await Fixture.start();
      const { run_id } = await runIn(state, c, await c.register());
      expect((await c.post(`/runs/${run_id}/stop`)).status).toBe(400);
    });
  }

  test("of an unknown run or session is 404, of an idle session 400", async () => {
    await using c = await Fixture.start();
    expect((await c.post("/runs/run_0/stop")).status).toBe(404);
    expect((await c.post("/sessions/ses_0/stop")).status).toBe(404);
    const { session_id } = await runIn("completed", c, await c.register());
    expect((await c.post(`/sessions/${session_id}/stop`)).status).toBe(400);
  });

  test("is delivered again after stopRedeliveryMs, to a new and an open poll, until the end is reported", async () => {
    await using c = await Fixture.start({ stopRedeliveryMs: 1_500, pollTimeoutMs: 800 });
    const runner = await c.register();
    const { run_id } = await runIn("stopping", c, runner);
    expect((await c.poll(runner)).body).toEqual({ stop_runs: [run_id] });
    expect((await c.poll(runner)).status).toBe(204);
    const polls: number[] = [];
    await until("the stop comes again", async () => {
      const { status } = await c.poll(runner);
      polls.push(status);
      return status === 200;
    });
    await c.report(run_id, "stopped", runner);
    await until(
      "a full redelivery time passes without a stop",
      async () => (await c.poll(runner)).status === 204 && (await c.poll(runner)).status === 204,
    );
  });

  test("that is due for redelivery wakes an open poll", async () => {
    await using c = await Fixture.start({ stopRedeliveryMs: 60 });
    const runner = await c.register();
    const { run_id } = await runIn("stopping", c, runner);
    await c.poll(runner);
    expect((await c.poll(runner)).body).toEqual({ stop_runs: [run_id] });
  });

  test("does not keep the runner from claiming other runs", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await runIn("stopping", c, runner);
    await c.poll(runner);
    const { run_id } = await c.start();
    expect((await c.claim(runner)).run_id).toBe(run_id);
  });

  test("of a session stops the active run and the runs that wait for their turn", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id, session_id } = await runIn("running", c, runner);
    const queued = await c.resume(session_id);
    expect((await c.post(`/sessions/${session_id}/stop`)).body).toMatchObject({
      run_id,
      session_id,
      status: "stopping",
    });
    expect(await c.runStatus(queued.run_id)).toBe("stopped");
    expect(await c.sessionStatus(session_id)).toBe("stopping");
    await c.report(run_id, "stopped", runner);
    expect(await c.sessionStatus(session_id)).toBe("stopped");
  });

  test("of a run with a silent runner waits until the runner is given up, then fails without a retry", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await runIn("running", c, runner, { max_attempts: 5 });
    await c.restart({ timings: { staleAfterMs: 50, removeAfterMs: 60, lostAfterMs: 60_000 } });
    await until("the runner is stale", async () => (await c.get("/runners")).body.runners[0]?.status === "stale");
    expect((await c.post(`/runs/${run_id}/stop`)).body.status).toBe("stopping");
    await c.restart({ timings: { staleAfterMs: 50, removeAfterMs: 60, lostAfterMs: 100 } });
    await until("it is given up", async () => (await c.runStatus(run_id)) === "failed");
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({
      reason: "runner_lost",
      error: expect.stringContaining("Not known whether it was stopped"),
      retried_by: null,
    });
    expect((await c.get("/runners")).body.runners).toEqual([]);
  });

  test("of a claimed run that its runner never received ends the run with the lease", async () => {
    await using c = await Fixture.start({ claimLeaseMs: 50 });
    const runner = await c.register();
    const { run_id } = await runIn("claimed", c, runner);
    await c.post(`/runs/${run_id}/stop`);
    await until("the run is stopped", async () => (await c.runStatus(run_id)) === "stopped");
  });
});

describe("The duration of a run", () => {
  const timesOf = async (c: Fixture, sessionId: string) => {
    const { session } = (await c.get(`/sessions/${sessionId}`)).body;
    const stats = (await c.get("/stats")).body;
    const hours: { run_ms: number }[] = stats.hours;
    return { session: session.run_ms, hours: hours.reduce((sum, hour) => sum + hour.run_ms, 0) };
  };

  test.each(["completed", "failed", "stopped"])("is the runner's own where %s says it", async (ending) => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { session_id } = await c.start();
    const run = await c.claim(runner);
    await c.report(run.run_id, "started", runner);
    await c.report(run.run_id, ending, runner, { duration_ms: 3_600_000 });
    expect(await timesOf(c, session_id)).toEqual({ session: 3_600_000, hours: 3_600_000 });
  });

  test.each([undefined, null, -1, 1.5, "long", 1e300])("is the coordinator's for a report with %p", async (given) => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { session_id } = await c.start();
    const run = await c.claim(runner);
    await c.report(run.run_id, "started", runner);
    // Time that the coordinator has to count.
    await Bun.sleep(20);
    expect((await c.report(run.run_id, "completed", runner, { duration_ms: given })).status).toBe(200);
    expect((await timesOf(c, session_id)).session).toBeWithin(15, 10_000);
  });
});
