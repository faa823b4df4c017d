import { expect, test } from "bun:test";
import type { Generation } from "../../src/protocol/poll.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { until } from "../harness/until.ts";
import { ToolWorld } from "./tool-world.ts";

/** A Python coordinator. The test acts as the runner of the child runs. */
async function world(generation: Generation): Promise<{ fake: FakeCoordinator; w: ToolWorld } & AsyncDisposable> {
  const fake = await FakeCoordinator.start({ generation });
  const w = await ToolWorld.at(fake.url);
  return {
    fake,
    w,
    async [Symbol.asyncDispose]() {
      await w[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

function child(fake: FakeCoordinator): Promise<FakeRun> {
  return until("a child run", () =>
    [...fake.state.runs.values()].find(({ parent_session_id }) => parent_session_id === "root"),
  );
}

/** Adds the events of an executor and applies its runner's report. */
function finish(fake: FakeCoordinator, run: FakeRun, result: { text: string } | { data: object }): void {
  const session = fake.state.sessions.get(run.session_id);
  if (session === undefined) throw new Error("no session");
  const common = { session_id: run.session_id, timestamp: new Date().toISOString() };
  if ("text" in result)
    session.events.push({
      ...common,
      event_type: "message",
      role: "assistant",
      content: [{ type: "text", text: result.text }],
    });
  session.events.push({
    ...common,
    event_type: "result",
    result_text: "text" in result ? result.text : null,
    result_data: "data" in result ? result.data : null,
  });
  session.status = "finished";
  run.status = "completed";
}

for (const generation of ["first", "second"] as const) {
  test(`${generation} generation: sync polls the child run and returns its result`, async () => {
    await using t = await world(generation);
    const answer = (await t.w.agent()).call("start_agent_session", { prompt: "do it" });
    const run = await child(t.fake);
    expect(run).toMatchObject({ prompt: "do it", execution_mode: "sync" });
    finish(t.fake, run, { text: "done" });
    expect((await answer).value).toEqual({ session_id: run.session_id, result_text: "done", result_data: null });
  });

  test(`${generation} generation: creates no run under an unknown parent, which would lock the database`, async () => {
    await using t = await world(generation);
    const agent = await t.w.agent();
    t.fake.state.sessions.delete("root");
    expect(await agent.call("start_agent_session", { prompt: "x", mode: "async_poll" })).toMatchObject({
      isError: true,
      text: expect.stringContaining("does not know the session root"),
    });
    expect(t.fake.state.isLocked).toBe(false);
  });

  test(`${generation} generation: delete_all_agent_sessions stops running sessions first if necessary`, async () => {
    await using t = await world(generation);
    const agent = await t.w.agent();
    const { session_id } = (await agent.call("start_agent_session", { prompt: "x", mode: "async_poll" })).value;
    const run = await child(t.fake);
    run.status = "running";
    const session = t.fake.state.sessions.get(session_id);
    if (session === undefined) throw new Error("no session");
    session.status = "running";
    const deleting = agent.call("delete_all_agent_sessions");
    if (generation === "second") {
      await until("the stop request", () => t.fake.state.stops.includes(run.run_id));
      session.status = run.status = "stopped";
    }
    expect((await deleting).value).toEqual({ deleted_count: 1 });
    expect([...t.fake.state.sessions.keys()]).toEqual(["root"]);
  });

  test(`${generation} generation: a run that the coordinator no longer knows ends the wait with an error`, async () => {
    await using t = await world(generation);
    const answer = (await t.w.agent()).call("start_agent_session", { prompt: "x" });
    const run = await child(t.fake);
    t.fake.state.runs.delete(run.run_id);
    expect(await answer).toMatchObject({ isError: true, text: expect.stringContaining(run.session_id) });
  });

  test(`${generation} generation: an outage of the coordinator does not end the wait`, async () => {
    await using t = await world(generation);
    const answer = (await t.w.agent()).call("start_agent_session", { prompt: "x" });
    const run = await child(t.fake);
    await until("it waits", () => t.w.waiting.length === 1);
    await t.fake.down();
    finish(t.fake, run, { text: "done" });
    await t.fake.up();
    expect((await answer).value).toMatchObject({ result_text: "done" });
  });
}

test("second generation: returns structured results, also of idle sessions", async () => {
  await using t = await world("second");
  const agent = await t.w.agent();
  const { session_id } = (await agent.call("start_agent_session", { prompt: "x", mode: "async_poll" })).value;
  finish(t.fake, await child(t.fake), { data: { n: 1 } });
  const session = t.fake.state.sessions.get(session_id);
  if (session !== undefined) session.status = "idle";
  expect((await agent.call("get_agent_session_result", { session_id })).value).toEqual({
    session_id,
    result_text: null,
    result_data: { n: 1 },
  });
});
