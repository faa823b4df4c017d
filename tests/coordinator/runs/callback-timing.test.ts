import { describe, expect, test } from "bun:test";
import type { CallbackTiming } from "../../../src/coordinator/runs/callbacks.ts";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

/** An idle parent with `count` callback children that a runner has started. */
async function withChildren(
  count: number,
  options: { timing?: CallbackTiming; timings?: object } = {},
): Promise<{ c: Fixture; runner: string; children: { run_id: string; session_id: string }[] }> {
  const c = await Fixture.start({ pollTimeoutMs: 40, ...options.timings }, options.timing);
  const runner = await c.register();
  await c.start({ session_id: "parent" });
  await c.execute(runner, "completed", "waiting for children");
  const children = [];
  for (let i = 1; i <= count; i++) children.push(await startChild(c, runner, "parent", `child-${i}`));
  return { c, runner, children };
}

async function startChild(
  c: Fixture,
  runner: string,
  parent: string,
  session_id: string,
): Promise<{ run_id: string; session_id: string }> {
  await c.start({ session_id, parent_session_id: parent, execution_mode: "async_callback" });
  const run = await c.claim(runner);
  await c.report(run.run_id, "started", runner);
  return run;
}

async function end(
  c: Fixture,
  runner: string,
  run: { run_id: string; session_id: string },
  ending = "completed",
): Promise<void> {
  await c.say(run.session_id, `result of ${run.session_id}`);
  const answer = await c.report(run.run_id, ending, runner);
  if (answer.status !== 200) throw new Error(`${ending}: ${JSON.stringify(answer)}`);
}

/** The callback messages to the parent, one per resume. */
async function callbacksTo(c: Fixture, sessionId = "parent"): Promise<string[]> {
  const { runs } = (await c.get(`/runs?session_id=${sessionId}`)).body as { runs: { type: string; prompt: string }[] };
  return runs.filter(({ type }) => type === "resume_session").map(({ prompt }) => prompt);
}

const at = <T>(list: readonly T[], index: number): T => {
  const found = list[index];
  if (found === undefined) throw new Error(`nothing at ${index}`);
  return found;
};

describe("callbacks together", () => {
  test("an idle parent is resumed once, when the last of its children has ended, with all results", async () => {
    const { c, runner, children } = await withChildren(3);
    await using _ = c;
    await end(c, runner, at(children, 1));
    await end(c, runner, at(children, 0), "failed");
    expect(await callbacksTo(c)).toEqual([]);
    await end(c, runner, at(children, 2));
    const [message, ...more] = await callbacksTo(c);
    expect(more).toEqual([]);
    expect(message).toStartWith('<agent-callback type="aggregated" count="3">');
    for (const text of ["result of child-2", "it broke", "result of child-3"]) expect(message).toContain(text);
  });

  test("a child that waits for its own children counts as open", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    const leaf = await startChild(c, runner, "child-1", "leaf");
    await end(c, runner, at(children, 0));
    await end(c, runner, at(children, 1));
    expect(await callbacksTo(c)).toEqual([]);
    await end(c, runner, leaf);
    expect(await callbacksTo(c)).toEqual([]);
    await end(c, runner, await c.claim(runner));
    expect(await callbacksTo(c)).toHaveLength(1);
    expect((await callbacksTo(c))[0]).toContain('count="2"');
  });

  test("children in the modes sync and async_poll delay no callback", async () => {
    const { c, runner, children } = await withChildren(1);
    await using _ = c;
    for (const execution_mode of ["sync", "async_poll"]) await c.start({ parent_session_id: "parent", execution_mode });
    await end(c, runner, at(children, 0));
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("a stopped child delays no callback, though its own child still runs", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await startChild(c, runner, "child-1", "leaf");
    await end(c, runner, at(children, 1));
    await c.post("/sessions/child-1/stop");
    expect(await callbacksTo(c)).toEqual([]);
    await c.report(at(children, 0).run_id, "stopped", runner);
    expect(await callbacksTo(c)).toHaveLength(1);
    expect((await callbacksTo(c))[0]).toContain('count="2"');
  });

  test("a failed child delays no callback, though its own child still runs", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await startChild(c, runner, "child-1", "leaf");
    await end(c, runner, at(children, 1));
    await end(c, runner, at(children, 0), "failed");
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("a child that is deleted while it waits counts as stopped, and delays no callback", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    const leaf = await startChild(c, runner, "child-1", "leaf");
    await end(c, runner, at(children, 0));
    await end(c, runner, at(children, 1));
    await c.call("DELETE", "/sessions/child-1");
    expect(await callbacksTo(c)).toHaveLength(1);
    expect((await callbacksTo(c))[0]).toContain("## 2 of 2: session child-1 (stopped)");
    await end(c, runner, leaf);
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("a child that is deleted while it runs delays no callback after its runner has ended it", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await end(c, runner, at(children, 0));
    await c.call("DELETE", "/sessions/child-2");
    await c.report(at(children, 1).run_id, "stopped", runner);
    expect(await callbacksTo(c)).toHaveLength(1);
    expect((await callbacksTo(c))[0]).toContain("## 2 of 2: session child-2 (stopped)");
  });

  test("a child that is stopped while it waits for its own child delays no callback", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await startChild(c, runner, "child-1", "leaf");
    await end(c, runner, at(children, 0));
    await end(c, runner, at(children, 1));
    await c.resume("child-1");
    const byHand = await c.claim(runner);
    await c.report(byHand.run_id, "started", runner);
    await c.post("/sessions/child-1/stop");
    await c.report(byHand.run_id, "stopped", runner);
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("a child that another parent resumes no longer delays a callback", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await c.start({ session_id: "other" });
    await c.execute(runner, "completed");
    await startChild(c, runner, "child-1", "leaf");
    await end(c, runner, at(children, 0));
    await end(c, runner, at(children, 1));
    expect(await callbacksTo(c)).toEqual([]);
    await c.resume("child-1", { parent_session_id: "other", execution_mode: "async_callback" });
    await c.report((await c.claim(runner)).run_id, "started", runner);
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("a child that no runner can claim delays the other callbacks until its time-out", async () => {
    const { c, runner, children } = await withChildren(1, { timings: { noMatchTimeoutMs: 80 } });
    await using _ = c;
    await c.start({
      session_id: "nobody's",
      parent_session_id: "parent",
      execution_mode: "async_callback",
      additional_demands: { tags: ["gpu"] },
    });
    await end(c, runner, at(children, 0));
    await until("the parent is resumed", async () => (await callbacksTo(c)).length === 1);
    expect((await callbacksTo(c))[0]).toContain("No matching runner available within timeout");
  });

  test("a child whose runner left delays no callback", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await end(c, runner, at(children, 0));
    await c.call("DELETE", `/runners/${runner}?self=true`);
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("survive a restart of the coordinator between two endings, and are delivered once", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await end(c, runner, at(children, 0));
    await c.restart();
    expect(await callbacksTo(c)).toEqual([]);
    await end(c, runner, at(children, 1));
    expect(await callbacksTo(c)).toHaveLength(1);
    await c.restart();
    expect((await c.report(at(children, 1).run_id, "completed", runner)).status).toBe(200);
    expect(await callbacksTo(c)).toHaveLength(1);
  });

  test("a restart with the timing each delivers the delayed callbacks", async () => {
    const { c, runner, children } = await withChildren(2);
    await using _ = c;
    await end(c, runner, at(children, 0));
    expect(await callbacksTo(c)).toEqual([]);
    await c.restart({ callbacks: "each" });
    expect(await callbacksTo(c)).toHaveLength(1);
  });
});

test("callbacks each: an idle parent is resumed at once for each child", async () => {
  const { c, runner, children } = await withChildren(2, { timing: "each" });
  await using _ = c;
  await end(c, runner, at(children, 0));
  expect(await callbacksTo(c)).toHaveLength(1);
  await end(c, runner, await c.claim(runner));
  await end(c, runner, at(children, 1));
  const messages = await callbacksTo(c);
  expect(messages).toHaveLength(2);
  expect(messages[0]).toContain("result of child-1");
  expect(messages[1]).toContain("result of child-2");
});
