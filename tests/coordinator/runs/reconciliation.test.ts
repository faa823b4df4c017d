import { describe, expect, test } from "bun:test";
import { copyFileSync, rmSync } from "node:fs";
import { INSTANCE_HEADER } from "../../../src/protocol/runner.ts";
import { until } from "../../harness/until.ts";
import { type Answer, Fixture } from "../fixture.ts";
import { IS_POSTGRES } from "../../harness/postgres.ts";

const A = "instance-a";
const B = "instance-b";

interface Word {
  readonly held?: readonly { readonly run_id: string; readonly state: "claimed" | "running" | "reporting" }[];
  readonly seen?: unknown;
  readonly answered?: string;
}

function as(c: Fixture, instance: string) {
  const headers = { [INSTANCE_HEADER]: instance };
  return {
    register: (fields: Record<string, unknown> = {}) => c.register({ instance_id: instance, ...fields }),
    say: (runner_id: string, word: Word = {}): Promise<Answer> =>
      c.call("POST", "/runner/heartbeat", { runner_id, held: [], ...word }, { headers }),
    poll: (runner: string, signal?: AbortSignal) =>
      c.call("GET", `/runner/runs?runner_id=${runner}`, undefined, { headers, ...(signal ? { signal } : {}) }),
    report: (run: string, verb: string, runner_id: string, fields: Record<string, unknown> = {}) =>
      c.call("POST", `/runner/runs/${run}/${verb}`, { runner_id, ...fields }, { headers }),
  };
}

/** A run that is running under instance A. */
async function running(c: Fixture, fields: Record<string, unknown> = {}) {
  const runner = await as(c, A).register();
  const { run_id, session_id } = await c.start(fields);
  await c.claim(runner);
  await c.report(run_id, "started", runner);
  return { runner, run_id, session_id };
}

describe("reconciliation", () => {
  test("answers every run that is open under the runner, and where the database stands", async () => {
    await using c = await Fixture.start();
    const { runner, run_id } = await running(c);
    const { body } = await as(c, A).say(runner);
    expect(body).toEqual({
      ok: true,
      moment: { epoch: expect.any(String), moves: expect.any(Number) },
      runs: [{ run_id, status: "running", is_own: true }],
      asked: [],
      is_restored: false,
    });
  });

  test("says of a held run that it has ended, or is not known", async () => {
    await using c = await Fixture.start();
    const { runner, run_id } = await running(c);
    await c.report(run_id, "failed", runner);
    const held = [
      { run_id, state: "running" },
      { run_id: "run_0123456789ab", state: "running" },
    ] as const;
    expect((await as(c, A).say(runner, { held })).body.runs).toEqual([
      { run_id, status: "failed", is_own: false },
      { run_id: "run_0123456789ab", status: "unknown", is_own: false },
    ]);
  });

  test("a runner that was silent until its lease ended keeps its claim where nobody else has it", async () => {
    await using c = await Fixture.start({ claimLeaseMs: 50 });
    const runner = await as(c, A).register();
    const { run_id } = await c.start();
    await c.claim(runner);
    await until("the lease ends", async () => (await c.runStatus(run_id)) === "pending");
    const { body } = await as(c, A).say(runner, { held: [{ run_id, state: "claimed" }] });
    expect(body.runs).toEqual([{ run_id, status: "claimed", is_own: true }]);
  });

  test("a heartbeat without `held` is answered as before", async () => {
    await using c = await Fixture.start();
    const runner_id = await c.register();
    expect((await c.post("/runner/heartbeat", { runner_id })).body).toEqual({ ok: true });
  });
});

describe("a runner that does not come back", () => {
  test("is given up: its run fails with runner_lost and is retried, and is known no more", async () => {
    await using c = await Fixture.start();
    const { run_id } = await running(c, { max_attempts: 2, retry_delay_seconds: 0 });
    await c.restart({ timings: { staleAfterMs: 30, removeAfterMs: 60, lostAfterMs: 60_000 } });
    const stale = await until("it is stale", async () =>
      (await c.get("/runners")).body.runners.find((each: { status: string }) => each.status === "stale"),
    );
    expect(stale.lost_in_seconds).toBeLessThanOrEqual(60);
    await c.restart({ timings: { staleAfterMs: 30, removeAfterMs: 60, lostAfterMs: 100 } });
    await until("the run fails", async () => (await c.runStatus(run_id)) === "failed");
    const run = (await c.get(`/runs/${run_id}`)).body;
    expect(run).toMatchObject({ reason: "runner_lost", note: null });
    expect(run.error).toContain("its runner was not heard of for");
    expect(await c.runStatus(run.retried_by)).toBe("pending");
    expect((await c.get("/runners")).body.runners).toEqual([]);
  });

  test("comes back later: the ending stays, and what it tells is kept as a note", async () => {
    await using c = await Fixture.start();
    const { run_id } = await running(c);
    await c.restart({ timings: { staleAfterMs: 30, removeAfterMs: 60, lostAfterMs: 100 } });
    await until("the run fails", async () => (await c.runStatus(run_id)) === "failed");
    await c.restart({ timings: {} });
    const runner = await as(c, A).register();
    const held = [{ run_id, state: "running" }] as const;
    expect((await as(c, A).say(runner, { held })).body.runs).toEqual([{ run_id, status: "failed", is_own: false }]);
    expect((await as(c, A).report(run_id, "completed", runner)).status).toBe(200);
    const run = (await c.get(`/runs/${run_id}`)).body;
    expect(run).toMatchObject({ status: "failed", reason: "runner_lost" });
    expect(run.note).toMatch(/^Its runner came back at .* and reported: completed$/);
  });

  test("its word that it does not know a run is no late report", async () => {
    await using c = await Fixture.start();
    const { runner, run_id } = await running(c);
    const unknown = { error: "The run is not known here", reason: "runner_lost" };
    for (let i = 0; i < 2; i++) expect((await as(c, A).report(run_id, "failed", runner, unknown)).status).toBe(200);
    expect((await c.get(`/runs/${run_id}`)).body).toMatchObject({
      status: "failed",
      reason: "runner_lost",
      note: null,
    });
  });
});

describe("instances of one identity", () => {
  test("a restart that names its earlier instance takes over at once", async () => {
    await using c = await Fixture.start();
    const { runner } = await running(c);
    expect(await as(c, B).register({ supersedes: [A] })).toBe(runner);
    expect((await as(c, A).say(runner)).status).toBe(401);
    expect((await as(c, B).say(runner)).status).toBe(200);
  });

  test("a second one is told that the first one is alive while it polls", async () => {
    await using c = await Fixture.start();
    const runner = await as(c, A).register();
    const leave = new AbortController();
    const poll = as(c, A)
      .poll(runner, leave.signal)
      .catch(() => null);
    await c.get("/health");
    const second = await c.post("/runner/register", {
      hostname: "host",
      project_dir: "/work",
      executor_type: "test-executor",
      instance_id: B,
    });
    expect(second).toMatchObject({ status: 409, body: { detail: { error: "duplicate_runner", is_live: true } } });
    expect((await as(c, A).say(runner)).status).toBe(200);
    leave.abort();
    await poll;
  });

  test("the first one, when it comes back, hears that the second one has taken over", async () => {
    await using c = await Fixture.start();
    const { runner } = await running(c);
    await as(c, B).register({ supersedes: [A] });
    for (const answer of [await as(c, A).poll(runner), await as(c, A).report("run_x", "started", runner)])
      expect(answer).toMatchObject({ status: 401, body: { detail: expect.stringContaining("Another instance") } });
  });
});

describe("an instance without the registration", () => {
  test("cannot deregister the one that has it", async () => {
    await using c = await Fixture.start();
    const { runner, run_id } = await running(c);
    await as(c, B).register({ supersedes: [A] });
    for (const path of [`/runners/${runner}`, `/runners/${runner}?self=true`]) {
      const answer = await c.call("DELETE", path, undefined, { headers: { [INSTANCE_HEADER]: A } });
      expect(answer).toMatchObject({ status: 401, body: { detail: expect.stringContaining("Another instance") } });
    }
    expect(await c.runStatus(run_id)).toBe("running");
    expect((await as(c, B).say(runner)).status).toBe(200);
  });
});

describe("what the start of runs waits for", () => {
  test("is shown by GET /health and GET /runners until the runner has said what it holds", async () => {
    await using c = await Fixture.start();
    const runner = await as(c, A).register();
    expect((await c.get("/health")).body).toEqual({ status: "healthy" });
    await c.restart();
    const { claims_wait } = (await c.get("/health")).body;
    expect(claims_wait).toEqual({ reason: "started", runners: 1, at_most_seconds: expect.any(Number) });
    expect(claims_wait.at_most_seconds).toBeWithin(20, 30);
    expect((await c.get("/runners")).body.runners).toMatchObject([{ runner_id: runner, is_awaited: true }]);
    await c.call("DELETE", `/runners/${runner}`);
    expect((await c.get("/health")).body).toEqual({ status: "healthy" });
  });
});

/** Starts again on a copy of the database as it was when `backup` was called. */
function backups(c: Fixture) {
  const copy = `${c.databasePath}.backup`;
  return {
    make: async () => {
      await c.restart({}, () => copyFileSync(c.databasePath, copy));
    },
    restore: () =>
      c.restart({}, () => {
        for (const suffix of ["-wal", "-shm"]) rmSync(c.databasePath + suffix, { force: true });
        copyFileSync(copy, c.databasePath);
      }),
  };
}

// They restore a file.
describe.skipIf(IS_POSTGRES)("a restored backup", () => {
  test("a run that was executed since the backup is answered with its outcome and not given out again", async () => {
    await using c = await Fixture.start();
    const runner = await as(c, A).register();
    const { run_id } = await c.start();
    const backup = backups(c);
    await backup.make();
    let word = (await as(c, A).say(runner)).body;
    await as(c, A).say(runner, { seen: word.moment });
    await as(c, A).poll(runner);
    await as(c, A).report(run_id, "started", runner);
    await as(c, A).report(run_id, "completed", runner);
    const seen = (await as(c, A).say(runner)).body.moment;
    await backup.restore();

    expect(await c.runStatus(run_id)).toBe("pending");
    word = (await as(c, A).say(runner, { seen })).body;
    expect(word.asked).toEqual([run_id]);
    const nothing = await Promise.race([as(c, A).poll(runner), c.get("/health")]);
    expect(nothing.body).toMatchObject({ status: "healthy", claims_wait: { reason: "restored", runners: 1 } });
    expect((await as(c, A).report(run_id, "completed", runner)).status).toBe(200);
    expect(await c.runStatus(run_id)).toBe("completed");
    const { moment } = word;
    expect((await as(c, A).say(runner, { seen: moment, answered: moment.epoch })).body.asked).toEqual([]);
    expect((await c.get("/health")).body).toEqual({ status: "healthy" });
  });

  test("no runner gets a run until the one that executes it has said so", async () => {
    await using c = await Fixture.start();
    const first = await as(c, A).register();
    const second = await as(c, B).register({ hostname: "other" });
    const backup = backups(c);
    const { run_id } = await c.start();
    await backup.make();
    for (const [runner, instance] of [
      [first, A],
      [second, B],
    ] as const) {
      const { moment } = (await as(c, instance).say(runner)).body;
      await as(c, instance).say(runner, { seen: moment });
    }
    await as(c, A).poll(first);
    await as(c, A).report(run_id, "started", first);
    const { moment: seen } = (await as(c, A).say(first)).body;
    await backup.restore();

    // The second one has seen nothing later; it waits all the same.
    const { moment } = (await as(c, B).say(second)).body;
    await as(c, B).say(second, { seen: moment });
    const leave = new AbortController();
    const poll = as(c, B)
      .poll(second, leave.signal)
      .catch(() => null);
    const held = [{ run_id, state: "running" }] as const;
    expect((await as(c, A).say(first, { held, seen })).body.runs).toEqual([
      { run_id, status: "running", is_own: true },
    ]);
    await as(c, A).say(first, { held, seen: moment, answered: moment.epoch });
    // The second one has to answer, too, now that the restore is known.
    await as(c, B).say(second, { seen: moment, answered: moment.epoch });
    const next = await c.start();
    expect((await poll)?.body.run.run_id).toBe(next.run_id);
    expect((await as(c, A).report(run_id, "completed", first)).status).toBe(200);
    leave.abort();
  });

  test("known runners that do not come back hold up no run for longer than the limit", async () => {
    await using c = await Fixture.start({ startGateMs: 100 });
    const silent = await as(c, A).register();
    const other = await c.register({ hostname: "other" });
    await c.restart();
    const { run_id } = await c.start();
    expect((await c.claim(other)).run_id).toBe(run_id);
    expect(silent).not.toBe(other);
  });
});
