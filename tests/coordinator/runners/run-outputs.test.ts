import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const PART = { from: 0, to: 3, size: 3, text: "abc" };

async function claimed(c: Fixture): Promise<{ runner: string; run: string }> {
  const runner = await c.register();
  const { run_id } = await c.start();
  expect((await c.poll(runner, "&output=1")).body.run.run_id).toBe(run_id);
  await c.report(run_id, "started", runner);
  return { runner, run: run_id };
}
const poll = (c: Fixture, runner: string, more = "&output=1") =>
  c.get(`/runner/runs?runner_id=${runner}&capacity=0${more}`);

test("requests the output through the runner's open poll, and returns the runner's answer", async () => {
  await using c = await Fixture.start();
  const { runner, run } = await claimed(c);
  const polled = poll(c, runner);
  const shown = c.get(`/runs/${run}/output?stdout_from=5&bytes=100`);
  const { output_wanted } = (await polled).body;
  expect(output_wanted).toEqual([
    { request_id: expect.any(String), run_id: run, stdout_from: 5, stderr_from: null, bytes: 100 },
  ]);
  const body = {
    runner_id: runner,
    request_id: output_wanted[0].request_id,
    output: { stdout: PART, stderr: { ...PART, text: "" } },
  };
  expect((await c.post(`/runner/runs/${run}/output`, body)).status).toBe(200);
  expect(await shown).toEqual({ status: 200, body: { run_id: run, stdout: PART, stderr: { ...PART, text: "" } } });
});

test("a stop and a run come first; each request is sent once", async () => {
  await using c = await Fixture.start({ outputTimeoutMs: 1_000 });
  const { runner, run } = await claimed(c);
  await c.post(`/runs/${run}/stop`);
  const first = poll(c, runner);
  expect((await first).body).toEqual({ stop_runs: [run] });
  const waiting = c.get(`/runs/${run}/output`);
  const second = await poll(c, runner);
  expect(second.body.output_wanted).toHaveLength(1);
  expect((await waiting).status).toBe(503);
});

test("the error names the reason when there is no output", async () => {
  await using c = await Fixture.start({ outputTimeoutMs: 1_000 });
  expect((await c.get("/runs/run_none/output")).status).toBe(404);
  const { runner, run } = await claimed(c);
  for (const query of ["bytes=0", "bytes=1000000", "stdout_from=-1", "stderr_from=x"])
    expect((await c.get(`/runs/${run}/output?${query}`)).status).toBe(422);
  const polled = poll(c, runner);
  const gone = c.get(`/runs/${run}/output`);
  const { output_wanted } = (await polled).body;
  await c.post(`/runner/runs/${run}/output`, {
    runner_id: runner,
    request_id: output_wanted[0].request_id,
    output: null,
  });
  expect(await gone).toMatchObject({ status: 410, body: { detail: expect.stringContaining("any more") } });
  expect(await c.get(`/runs/${run}/output`)).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining("does not answer") },
  });
  const waiting = await c.start();
  expect(await c.get(`/runs/${waiting.run_id}/output`)).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining("not been given") },
  });
  await c.call("DELETE", `/runners/${runner}?self=true`);
  expect(await c.get(`/runs/${run}/output`)).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining("not there") },
  });
});

test("a runner that does not support output gets no request", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { run_id } = await c.start();
  await c.claim(runner);
  expect(await c.get(`/runs/${run_id}/output`)).toMatchObject({
    status: 501,
    body: { detail: expect.stringContaining("cannot show") },
  });
});

test("ignores the answer of another runner and the answer for another run", async () => {
  await using c = await Fixture.start({ outputTimeoutMs: 1_000 });
  const { runner, run } = await claimed(c);
  const other = await c.register({ project_dir: "/other" });
  const polled = poll(c, runner);
  const shown = c.get(`/runs/${run}/output`);
  const { request_id } = (await polled).body.output_wanted[0];
  const output = { stdout: PART, stderr: PART };
  await c.post(`/runner/runs/${run}/output`, { runner_id: other, request_id, output });
  await c.post("/runner/runs/run_other/output", { runner_id: runner, request_id, output });
  expect((await c.post(`/runner/runs/${run}/output`, { runner_id: "lnch_nobody", request_id, output })).status).toBe(
    401,
  );
  expect((await shown).status).toBe(503);
});

test("refuses too many open requests; closing the coordinator ends them all", async () => {
  const c = await Fixture.start({ outputTimeoutMs: 60_000 });
  const { runner, run } = await claimed(c);
  const requests = Array.from({ length: 70 }, () => c.get(`/runs/${run}/output`));
  const refused = await Promise.race(requests);
  expect(refused).toMatchObject({ status: 503, body: { detail: expect.stringContaining("Too many") } });
  expect((await poll(c, runner)).body.output_wanted).toHaveLength(64);
  await c[Symbol.asyncDispose]();
  expect((await Promise.allSettled(requests)).length).toBe(70);
});
