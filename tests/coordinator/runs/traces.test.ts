import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const PARENT = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
const OTHER = `00-${"12".repeat(16)}-${"34".repeat(8)}-01`;

const start = (c: Fixture, headers: Record<string, string>, more: object = {}): Promise<{ body: { run_id: string } }> =>
  c.call("POST", "/runs", { type: "start_session", prompt: "p", ...more }, { headers });

async function traceOf(c: Fixture, runId: string): Promise<unknown> {
  const { traceparent, tracestate } = (await c.get(`/runs/${runId}`)).body;
  return [traceparent, tracestate];
}

test.each([
  ["its headers", { traceparent: PARENT, tracestate: "vendor=1" }, {}, [PARENT, "vendor=1"]],
  ["its body", {}, { traceparent: PARENT, tracestate: "vendor=1" }, [PARENT, "vendor=1"]],
  ["its body rather than its headers", { traceparent: OTHER }, { traceparent: PARENT }, [PARENT, null]],
  ["neither", {}, {}, [null, null]],
  [
    "neither, where both make no sense",
    { traceparent: "nonsense" },
    { traceparent: "nonsense", tracestate: 7 },
    [null, null],
  ],
  ["neither, where there is a state without a parent", { tracestate: "vendor=1" }, {}, [null, null]],
])("POST /runs: the trace of a run comes from %s", async (_, headers: Record<string, string>, more, trace) => {
  await using c = await Fixture.start();
  expect(await traceOf(c, (await start(c, headers, more)).body.run_id)).toEqual(trace);
});

test("a claimed run has its trace, and so has its next attempt", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { run_id } = (await start(c, { traceparent: PARENT }, { max_attempts: 2, retry_delay_seconds: 0 })).body;
  expect(await c.claim(runner)).toMatchObject({ run_id, traceparent: PARENT, tracestate: null });
  await c.post(`/runner/runs/${run_id}/started`, { runner_id: runner });
  await c.post(`/runner/runs/${run_id}/failed`, { runner_id: runner, error: "away", reason: "temporary" });
  const retry = await c.claim(runner);
  expect(retry).toMatchObject({ retry_of: run_id, traceparent: PARENT });
});

test("a callback resumes the parent in the trace in which the parent started its children", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const end = async (): Promise<{ run_id: string; session_id: string; traceparent: string | null }> => {
    const run = await c.claim(runner);
    await c.post(`/runner/runs/${run.run_id}/started`, { runner_id: runner });
    await c.post(`/runner/runs/${run.run_id}/completed`, { runner_id: runner });
    return run;
  };
  await start(c, { traceparent: PARENT }, { session_id: "parent" });
  await end();
  await start(
    c,
    { traceparent: OTHER },
    { session_id: "child", parent_session_id: "parent", execution_mode: "async_callback" },
  );
  await end();
  expect(await end()).toMatchObject({ session_id: "parent", traceparent: PARENT });
});

test("Idempotency-Key: the same request from another span is the same request", async () => {
  await using c = await Fixture.start();
  const first = await start(c, { "idempotency-key": "k", traceparent: PARENT });
  const again = await start(c, { "idempotency-key": "k", traceparent: OTHER }, { traceparent: OTHER });
  expect(again.body.run_id).toBe(first.body.run_id);
  expect(await traceOf(c, first.body.run_id)).toEqual([PARENT, null]);
});
