import { expect, test } from "bun:test";
import { CREATION_LIMITS_HEADER, type CreationLimits } from "../../../src/protocol/creation-limits.ts";
import { type Answer, Fixture } from "../fixture.ts";

const NONE: CreationLimits["tree"] = { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0 };

interface Own {
  readonly run_id: string;
  readonly session_id: string;
}

/** Creates a run as the gateway does for an agent of `own`. */
function create(
  c: Fixture,
  own: Own,
  fields: Record<string, unknown> = {},
  { tree = {}, ...run }: { tree?: Partial<CreationLimits["tree"]>; anywhere?: boolean; maxAttempts?: number } = {},
): Promise<Answer> {
  const limits: CreationLimits = {
    tree: { ...NONE, ...tree },
    run: { runId: own.run_id, maxAttempts: 1, anywhere: false, ...run },
  };
  const body = { type: "start_session", prompt: "p", parent_session_id: own.session_id, ...fields };
  return c.call("POST", "/runs", body, { headers: { [CREATION_LIMITS_HEADER]: JSON.stringify(limits) } });
}

test("a child that was deleted still counts, also after a restart", async () => {
  await using c = await Fixture.start();
  const own = await c.start();
  const limits = { tree: { maxChildren: 2 } };
  for (let i = 0; i < 2; i++) {
    const child = await create(c, own, {}, limits);
    expect(child.status).toBe(200);
    await c.call("DELETE", `/sessions/${child.body.session_id}`);
  }
  expect((await create(c, own, {}, limits)).body.detail).toContain("started 2 child sessions, deleted ones included");
  await c.restart();
  expect((await create(c, own, {}, limits)).status).toBe(403);
  expect((await create(c, own, {}, { tree: { maxTreeRuns: 3 } })).body.detail).toContain("has had 3 runs");
});

test("creations at once do not pass a limit", async () => {
  await using c = await Fixture.start();
  const own = await c.start();
  const child = (await create(c, own)).body as Own;
  const limits = { tree: { maxTreeRuns: 12 } };
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => {
      const fields = i % 3 === 0 ? { type: "resume_session", session_id: child.session_id } : {};
      return create(c, i % 2 === 0 ? own : child, fields, limits);
    }),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 403]));
  expect((await c.get(`/sessions/${own.session_id}/tree`)).body.tree.runs).toBe(12);
});

test("a session whose parents were deleted keeps its level and its tree", async () => {
  await using c = await Fixture.start();
  const root = await c.start();
  const middle = (await create(c, root)).body as Own;
  const leaf = (await create(c, middle)).body as Own;
  await c.call("DELETE", `/sessions/${middle.session_id}`);
  expect((await create(c, leaf, {}, { tree: { maxDepth: 2 } })).body.detail).toContain("at level 2");
  expect((await create(c, leaf, {}, { tree: { maxTreeRuns: 3 } })).body.detail).toContain("has had 3 runs");
  await c.call("DELETE", `/sessions/${root.session_id}`);
  expect((await create(c, leaf, {}, { tree: { maxTreeRuns: 3 } })).status).toBe(403);
  // The id alone is not the tree: another session of that name begins one of its own.
  const again = await c.start({ session_id: root.session_id });
  expect((await create(c, again, {}, { tree: { maxTreeRuns: 3 } })).status).toBe(200);
});

test("retries and callbacks count as runs of the tree", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const own = await c.start({ max_attempts: 2, retry_delay_seconds: 0 });
  await c.claim(runner);
  await c.report(own.run_id, "failed", runner, { reason: "temporary" });
  await c.execute(runner, "completed");
  const child = await create(c, own, { execution_mode: "async_callback" });
  await c.execute(runner, "completed", "done");
  expect((await c.claim(runner)).session_id).toBe(own.session_id);
  expect((await c.get(`/sessions/${child.body.session_id}/tree`)).body).toEqual({
    tree: { depth: 1, children: 0, runs: 4 },
  });
});

test("a session that a client puts under another tree counts there with all below it", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const host = await c.start();
  await c.execute(runner, "completed");
  const guest = await c.start();
  await create(c, guest, { session_id: "below" });
  await c.execute(runner, "completed");
  await c.execute(runner, "completed");
  await c.resume(guest.session_id, { parent_session_id: host.session_id });
  await c.execute(runner, "completed");
  for (const [session, depth, children] of [
    [host.session_id, 0, 0],
    [guest.session_id, 1, 1],
    ["below", 2, 0],
  ] as const)
    expect((await c.get(`/sessions/${session}/tree`)).body.tree).toEqual({ depth, children, runs: 4 });
});

test("priority, attempts and retry delay: not beyond those of the own run; open ones are not raised", async () => {
  await using c = await Fixture.start();
  const plain = await c.start();
  const rich = await c.start({ priority: 7, max_attempts: 3, retry_delay_seconds: 2 });
  const low = await c.start({ priority: -5 });
  const cases: [Own, Record<string, unknown>, string | Record<string, unknown>][] = [
    [plain, { priority: 1 }, "Priority 1 is higher"],
    [plain, { priority: -3 }, { priority: -3 }],
    [plain, { max_attempts: 2 }, "2 attempts are more"],
    [plain, { retry_delay_seconds: 0 }, "10 s is the limit"],
    [plain, {}, { priority: 0, max_attempts: 1 }],
    [rich, { priority: 8 }, "7 is the limit"],
    [rich, { priority: 7, max_attempts: 3, retry_delay_seconds: 2 }, { priority: 7, max_attempts: 3 }],
    [rich, { max_attempts: 4 }, "3 is the limit"],
    [rich, { retry_delay_seconds: 1 }, "2 s is the limit"],
    [rich, {}, { priority: 0, max_attempts: 1, retry_delay_seconds: 2 }],
    [low, { priority: 0 }, "-5 is the limit"],
    [low, {}, { priority: -5 }],
  ];
  for (const [own, fields, expected] of cases) {
    const { status, body } = await create(c, own, fields);
    if (typeof expected === "string") {
      expect([status, body.detail]).toEqual([403, expect.stringContaining(expected)]);
    } else expect((await c.get(`/runs/${body.run_id}`)).body).toMatchObject(expected);
  }
  expect((await create(c, plain, { max_attempts: 4 }, { maxAttempts: 4 })).status).toBe(200);
  // A direct client is not bound.
  expect((await c.post("/runs", { type: "start_session", prompt: "p", priority: 9, max_attempts: 9 })).status).toBe(
    200,
  );
});

test("demands: what the own run was submitted with holds for its children, their children and callbacks", async () => {
  await using c = await Fixture.start();
  await c.post("/agents", { name: "elsewhere", description: "d", demands: { hostname: "b" } });
  const own = await c.start({ additional_demands: { hostname: "a", tags: ["x"] }, priority: -2 });
  const child = (await create(c, own, { additional_demands: { tags: ["y"] } })).body as Own;
  const grandchild = (await create(c, child)).body as Own;
  for (const { run_id } of [child, grandchild]) {
    const { demands } = (await c.get(`/runs/${run_id}`)).body;
    expect([demands.hostname, demands.tags.toSorted()]).toEqual(["a", ["x", "y"]]);
  }
  for (const fields of [{ additional_demands: { hostname: "b" } }, { agent_name: "elsewhere" }]) {
    const refused = await create(c, child, fields);
    expect([refused.status, refused.body.detail]).toEqual([403, expect.stringContaining("hostname")]);
    expect((await create(c, child, fields, { anywhere: true })).status).toBe(200);
  }
  const runner = await c.register({ hostname: "a", tags: ["x", "y"] });
  const second = (await create(c, own, { execution_mode: "async_callback" })).body as Own;
  for (let i = 0; i < 4; i++) await c.execute(runner, "completed", "done");
  const callback = await c.claim(runner);
  expect(callback).toMatchObject({ session_id: own.session_id, priority: -2 });
  expect(callback.demands).toMatchObject({ hostname: "a", tags: ["x"] });
  expect(await c.runStatus(second.run_id)).toBe("completed");
});

test("a retry keeps what bounds its children; a mark that cannot be read is refused", async () => {
  await using c = await Fixture.start();
  const runner = await c.register({ hostname: "a" });
  const own = await c.start({ max_attempts: 2, retry_delay_seconds: 0, additional_demands: { hostname: "a" } });
  await c.claim(runner);
  await c.report(own.run_id, "failed", runner, { reason: "temporary" });
  const second = await c.claim(runner);
  expect((await create(c, second, { additional_demands: { hostname: "b" } })).status).toBe(403);
  const headers = { [CREATION_LIMITS_HEADER]: "{}" };
  expect((await c.call("POST", "/runs", { type: "start_session", prompt: "p" }, { headers })).status).toBe(400);
});
