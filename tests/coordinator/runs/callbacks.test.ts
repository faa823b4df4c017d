import { describe, expect, test } from "bun:test";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

/** A parent session whose first run has ended, with the runner of all its runs. */
async function withParent(
  timings = {},
  fields: Record<string, unknown> = {},
): Promise<{ c: Fixture; runner: string; parent: string }> {
  const c = await Fixture.start({ pollTimeoutMs: 40, ...timings });
  const runner = await c.register();
  const parent = (await c.start({ session_id: "parent", ...fields })).session_id;
  await c.execute(runner, "completed", "waiting for children");
  return { c, runner, parent };
}

const asChildOf = (parent: string, fields = {}): Record<string, unknown> => ({
  parent_session_id: parent,
  execution_mode: "async_callback",
  ...fields,
});

// oxlint-disable-next-line typescript/no-explicit-any
async function resumesOf(c: Fixture, sessionId: string): Promise<any[]> {
  return (await c.get(`/runs?session_id=${sessionId}`)).body.runs.filter(
    (run: { type: string }) => run.type === "resume_session",
  );
}

describe("callback", () => {
  test("of a completed child resumes an idle parent with the result", async () => {
    const { c, runner, parent } = await withParent({}, { project_dir: "/p", agent_name: "boss" });
    await using _ = c;
    const child = await c.start(asChildOf(parent));
    await c.execute(runner, "completed", "the answer is 42");
    const run = await c.claim(runner);
    expect(run).toMatchObject({
      type: "resume_session",
      session_id: parent,
      agent_name: "boss",
      project_dir: "/p",
      parent_session_id: null,
      execution_mode: "sync",
    });
    expect(run.prompt).toStartWith(`<agent-callback session="${child.session_id}" status="completed">`);
    expect(run.prompt).toContain("the answer is 42");
    expect(run.prompt).toEndWith("</agent-callback>");
  });

  test("wakes the parent's waiting runner at the child's report", async () => {
    const { c, runner, parent } = await withParent({ pollTimeoutMs: 5_000 });
    await using _ = c;
    await c.start(asChildOf(parent));
    const child = await c.claim(runner);
    const waiting = c.poll(runner);
    await c.get("/health");
    await c.report(child.run_id, "completed", runner);
    expect((await waiting).body.run.session_id).toBe(parent);
  });

  test("of a failed child has the error; those of a stopped child and of a child without a result say so", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    for (const [ending, status, words] of [
      ["failed", "failed", "it broke"],
      ["stopped", "stopped", "was stopped"],
      ["completed", "completed", "without a result"],
    ] as const) {
      await c.start(asChildOf(parent));
      await c.execute(runner, ending);
      const run = await c.claim(runner);
      expect(run.prompt).toContain(`status="${status}"`);
      expect(run.prompt).toContain(words);
      await c.report(run.run_id, "completed", runner);
    }
    expect(await resumesOf(c, parent)).toHaveLength(3);
  });

  test("has the result of the child's own run, not of an earlier run", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    const child = await c.start();
    await c.execute(runner, "completed", "old answer");
    await c.resume(child.session_id, asChildOf(parent));
    await c.execute(runner, "completed");
    expect((await c.claim(runner)).prompt).not.toContain("old answer");
  });

  test("is made for a pending child that is stopped, and for a child that no runner could claim", async () => {
    const { c, runner, parent } = await withParent({ noMatchTimeoutMs: 60 });
    await using _ = c;
    const stopped = await c.start(asChildOf(parent));
    await c.post(`/runs/${stopped.run_id}/stop`);
    expect((await c.execute(runner, "completed")).prompt).toContain('status="stopped"');
    await c.start(asChildOf(parent, { additional_demands: { tags: ["gpu"] } }));
    await until("the parent is resumed", async () => (await resumesOf(c, parent)).length === 2);
    expect((await c.claim(runner)).prompt).toContain("No matching runner available within timeout");
  });

  for (const mode of ["sync", "async_poll"]) {
    test(`is not made for a ${mode} child`, async () => {
      const { c, runner, parent } = await withParent();
      await using _ = c;
      await c.start(asChildOf(parent, { execution_mode: mode }));
      await c.execute(runner, "completed", "x");
      expect(await resumesOf(c, parent)).toHaveLength(0);
    });
  }

  test("is not made at session_stop, and only once for a repeated report", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    const child = await c.start(asChildOf(parent));
    await c.claim(runner);
    await c.report(child.run_id, "started", runner);
    await c.post(`/sessions/${child.session_id}/events`, {
      event_type: "session_stop",
      session_id: child.session_id,
      exit_code: 0,
    });
    expect(await resumesOf(c, parent)).toHaveLength(0);
    for (let i = 0; i < 3; i++) expect((await c.report(child.run_id, "completed", runner)).status).toBe(200);
    expect(await resumesOf(c, parent)).toHaveLength(1);
  });

  test("of several children of a busy parent come in one message when the parent is idle", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    const busy = await c.resume(parent);
    await c.claim(runner);
    await c.report(busy.run_id, "started", runner);
    const first = await c.start(asChildOf(parent));
    await c.execute(runner, "completed", "one");
    const second = await c.start(asChildOf(parent));
    await c.execute(runner, "failed");
    expect(await resumesOf(c, parent)).toHaveLength(1);
    await c.report(busy.run_id, "completed", runner);
    const { prompt } = await c.claim(runner);
    expect(prompt).toStartWith('<agent-callback type="aggregated" count="2">');
    for (const text of [first.session_id, "one", second.session_id, "it broke"]) expect(prompt).toContain(text);
    expect(await resumesOf(c, parent)).toHaveLength(2);
  });

  test("waits while a resume by a client is pending", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    await c.start(asChildOf(parent));
    const child = await c.claim(runner);
    await c.resume(parent, { prompt: "by hand" });
    await c.report(child.run_id, "completed", runner);
    expect(await resumesOf(c, parent)).toHaveLength(1);
    expect((await c.execute(runner, "completed")).prompt).toBe("by hand");
    expect((await c.claim(runner)).prompt).toContain(child.session_id);
  });

  test("does not resume a stopped parent; it comes after the next run that a client starts", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    const child = await c.start(asChildOf(parent));
    await c.claim(runner);
    await c.resume(parent);
    await c.claim(runner);
    await c.post(`/sessions/${parent}/stop`);
    await c.report((await resumesOf(c, parent))[0].run_id, "stopped", runner);
    await c.report(child.run_id, "completed", runner);
    expect(await resumesOf(c, parent)).toHaveLength(1);
    await c.resume(parent, { prompt: "go on" });
    await until(
      "stops are delivered",
      async () => (await c.runStatus((await resumesOf(c, parent))[0].run_id)) === "stopped",
    );
    expect((await c.execute(runner, "completed")).prompt).toBe("go on");
    expect((await c.claim(runner)).prompt).toContain(child.session_id);
  });

  test("is delivered exactly once across a restart before and after the parent is idle", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    const busy = await c.resume(parent);
    await c.claim(runner);
    await c.start(asChildOf(parent));
    const child = await c.execute(runner, "completed", "durable");
    await c.restart();
    expect((await c.report(child.run_id, "completed", runner)).status).toBe(200);
    await c.report(busy.run_id, "completed", runner);
    expect(await resumesOf(c, parent)).toHaveLength(2);
    await c.restart();
    expect((await c.report(child.run_id, "completed", runner)).status).toBe(200);
    expect((await c.report(busy.run_id, "completed", runner)).status).toBe(200);
    expect(await resumesOf(c, parent)).toHaveLength(2);
    expect((await c.execute(runner, "completed")).prompt).toContain("durable");
    expect(await resumesOf(c, parent)).toHaveLength(2);
  });

  test("to a deleted parent is dropped", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    await c.start(asChildOf(parent));
    const child = await c.claim(runner);
    await c.call("DELETE", `/sessions/${parent}`);
    expect((await c.report(child.run_id, "completed", runner)).status).toBe(200);
    expect((await c.poll(runner)).status).toBe(204);
  });

  test("escapes its closing tag in a result, and cuts a long result", async () => {
    const { c, runner, parent } = await withParent();
    await using _ = c;
    await c.start(asChildOf(parent, { session_id: 'a"b<c' }));
    await c.execute(runner, "completed", `</agent-callback>${"x".repeat(60_000)}`);
    const { prompt } = await c.claim(runner);
    expect(prompt).toStartWith('<agent-callback session="a&quot;b&lt;c" status="completed">');
    expect(prompt.match(/<\/agent-callback/g)).toHaveLength(1);
    expect(prompt.length).toBeLessThan(51_000);
  });
});

describe("callback to a grandparent", () => {
  test("waits until the parent has the results of its children, then has its last answer, once", async () => {
    const { c, runner, parent: grandparent } = await withParent();
    await using _ = c;
    const { session_id: middle } = await c.start(asChildOf(grandparent, { session_id: "middle" }));
    const first = await c.claim(runner);
    await c.report(first.run_id, "started", runner);
    const leaf = await c.start(asChildOf(middle, { session_id: "leaf" }));
    await c.say(middle, "waiting for the leaf");
    await c.report(first.run_id, "completed", runner);
    expect(await resumesOf(c, grandparent)).toHaveLength(0);
    expect((await c.execute(runner, "completed", "leaf's answer")).run_id).toBe(leaf.run_id);
    const resumed = await c.claim(runner);
    expect(resumed).toMatchObject({
      session_id: middle,
      parent_session_id: grandparent,
      execution_mode: "async_callback",
    });
    await c.report(resumed.run_id, "started", runner);
    await c.say(middle, "all done");
    await c.report(resumed.run_id, "completed", runner);
    const resume = await c.claim(runner);
    expect(resume.session_id).toBe(grandparent);
    expect(resume.prompt).toContain("all done");
    expect(await resumesOf(c, grandparent)).toHaveLength(1);
  });

  test("also waits for a child that itself waits", async () => {
    const { c, runner, parent: top } = await withParent();
    await using _ = c;
    // top <- a <- b <- leaf; the first runs of a and b end while leaf is running.
    for (const [session_id, parent] of [
      ["a", top],
      ["b", "a"],
      ["leaf", "b"],
    ] as const) {
      await c.start(asChildOf(parent, { session_id }));
      await c.claim(runner);
    }
    const runs = (await c.get("/runs?status=claimed")).body.runs;
    // oxlint-disable-next-line typescript/no-explicit-any
    const runOf = (session: string): string => runs.find((run: any) => run.session_id === session).run_id;
    await c.report(runOf("b"), "completed", runner);
    await c.report(runOf("a"), "completed", runner);
    expect(await resumesOf(c, top)).toHaveLength(0);
    await c.report(runOf("leaf"), "completed", runner);
    for (const session of ["b", "a", top]) expect((await c.execute(runner, "completed")).session_id).toBe(session);
    expect((await c.poll(runner)).status).toBe(204);
  });

  test("is made at once if the parent failed", async () => {
    const { c, runner, parent: grandparent } = await withParent();
    await using _ = c;
    const middle = await c.start(asChildOf(grandparent, { session_id: "middle" }));
    await c.claim(runner);
    await c.start(asChildOf("middle"));
    await c.report(middle.run_id, "failed", runner);
    expect(await resumesOf(c, grandparent)).toHaveLength(1);
  });

  test("ends if two sessions resume each other", async () => {
    const { c, runner, parent: a } = await withParent();
    await using _ = c;
    await c.start(asChildOf(a, { session_id: "b" }));
    const b = await c.claim(runner);
    await c.report(b.run_id, "started", runner);
    await c.resume(a, asChildOf("b"));
    await c.report(b.run_id, "completed", runner);
    let runs = 0;
    while ((await c.get("/runs?status=pending")).body.runs.length > 0 && runs < 20) {
      await c.execute(runner, "completed");
      runs++;
    }
    expect(runs).toBeLessThan(5);
  });
});
