import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

/** `top` and `middle` are idle and wait for `bottom`, which runs. `polled` runs too; no session waits for it. */
async function waitingTree(c: Fixture, runner: string): Promise<void> {
  const runs = new Map<string, string>();
  const begin = async (session_id: string, parent: string | null, execution_mode: string): Promise<void> => {
    const { run_id } = await c.start({ session_id, parent_session_id: parent, execution_mode });
    await c.claim(runner);
    await c.report(run_id, "started", runner);
    runs.set(session_id, run_id);
  };
  await begin("top", null, "sync");
  await begin("middle", "top", "async_callback");
  await begin("bottom", "middle", "async_callback");
  await begin("done", "top", "async_poll");
  await begin("polled", "done", "async_poll");
  for (const id of ["done", "middle", "top"]) await c.report(runs.get(id) ?? "", "completed", runner);
}

const statusOf = async (c: Fixture, id: string): Promise<string> =>
  (await c.get(`/sessions/${id}`)).body.session.status;

test("POST /trees/:id/stop stops all open runs, and resumes no session that waited for them", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await waitingTree(c, runner);
  const { status, body } = await c.post("/trees/top/stop");
  expect([status, body.stopped.map((run: { session_id: string }) => run.session_id).sort()]).toEqual([
    200,
    ["bottom", "polled"],
  ]);
  for (const { run_id } of body.stopped) await c.report(run_id, "stopped", runner);
  const runs = (await c.get("/runs")).body.runs as { type: string }[];
  expect(runs.filter(({ type }) => type === "resume_session")).toEqual([]);
  expect(await Promise.all(["top", "middle", "bottom", "done", "polled"].map((id) => statusOf(c, id)))).toEqual([
    "stopped",
    "stopped",
    "stopped",
    "finished",
    "stopped",
  ]);
});

test("POST /trees/:id/stop of a subtree delivers the callback to the parent of the subtree", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await waitingTree(c, runner);
  const { body } = await c.post("/trees/middle/stop");
  for (const { run_id } of body.stopped) await c.report(run_id, "stopped", runner);
  expect(await Promise.all(["top", "middle", "bottom", "polled"].map((id) => statusOf(c, id)))).toEqual([
    "finished",
    "stopped",
    "stopped",
    "running",
  ]);
  const runsOfTop = (await c.get("/runs?session=top")).body.runs as { type: string; prompt: string }[];
  expect(runsOfTop.map(({ type }) => type)).toEqual(["start_session", "resume_session"]);
  expect(runsOfTop[1]?.prompt).toContain('session="middle" status="stopped"');
});

test("POST /trees/:id/stop of a tree without open runs changes nothing; 404 for an unknown tree", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  const { run_id } = await c.start({ session_id: "one" });
  await c.claim(runner);
  await c.report(run_id, "completed", runner);
  expect((await c.post("/trees/one/stop")).body).toEqual({ ok: true, stopped: [] });
  expect(await statusOf(c, "one")).toBe("finished");
  expect((await c.post("/trees/nobody/stop")).status).toBe(404);
});
