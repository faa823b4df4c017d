import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

test("GET /runs/{id}/result: what this run said last, never what another run of its session said", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { session_id } = await c.start();
  const first = await c.execute(runner, "completed", "first");
  await c.resume(session_id);
  const silent = await c.execute(runner, "completed");
  await c.resume(session_id);
  const failed = await c.execute(runner, "failed", "partial");
  await c.resume(session_id);
  const alsoSilent = await c.execute(runner, "completed");
  await c.resume(session_id);
  const last = await c.execute(runner, "completed", "last");
  const results = [];
  for (const { run_id } of [first, silent, failed, alsoSilent, last])
    results.push((await c.get(`/runs/${run_id}/result`)).body.result);
  expect(results).toEqual(["first", null, null, null, "last"]);
  expect((await c.get(`/runs/${silent.run_id}/result`)).body).toEqual({
    run_id: silent.run_id,
    session_id,
    status: "completed",
    result: null,
  });
});

test("GET /runs/{id}/result: a later run may have been created first", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { session_id } = await c.start();
  const soon = new Date(Date.now() + 1_000).toISOString();
  const later = await c.resume(session_id, { not_before: soon });
  await c.execute(runner, "completed", "early");
  expect((await c.execute(runner, "completed")).run_id).toBe(later.run_id);
  expect((await c.get(`/runs/${later.run_id}/result`)).body.result).toBeNull();
});

test("GET /runs/{id}/result: 400 before the end, 404 for an unknown run", async () => {
  await using c = await Fixture.start();
  const { run_id } = await c.start();
  expect(await c.get(`/runs/${run_id}/result`)).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining("pending") },
  });
  expect((await c.get("/runs/run_0123456789ab/result")).status).toBe(404);
});
