import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { APPLICATION_ID, MIGRATIONS } from "../../../src/coordinator/store/schema.ts";
import { Fixture } from "../fixture.ts";

const T = "2026-01-01T00:00:00.000Z";

/** A database of version 1: one session with an active run and two behind it, one session with a pending run. */
function writeVersion1(path: string): void {
  using db = new Database(path);
  db.run(MIGRATIONS[0] ?? "");
  db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
  db.run("PRAGMA user_version = 1");
  const session = db.query(
    "INSERT INTO sessions (session_id, status, created_at, execution_mode) VALUES (?, ?, ?, 'sync')",
  );
  session.run("busy", "running", T);
  session.run("idle", "pending", T);
  session.run("over", "finished", T);
  const run = db.query(
    `INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, runner_id, created_at, started_at,
       completed_at, demands, timeout_at)
     VALUES (?, 'start_session', ?, 'do it', 'sync', ?, ?, '${T}', ?, ?, ?, ?)`,
  );
  run.run("run_over", "over", "completed", "lnch_1", T, T, null, null);
  run.run("run_busy", "busy", "running", "lnch_1", T, null, null, null);
  run.run("run_behind1", "busy", "pending", null, null, null, null, null);
  run.run("run_behind2", "busy", "pending", null, null, null, null, null);
  run.run("run_idle", "idle", "pending", null, null, null, '{"tags":["a"]}', T);
  db.run(
    `INSERT INTO events (session_id, is_answer, body)
     VALUES ('over', 1, '{"event_type":"message","session_id":"over","content":[]}')`,
  );
}

test("a database of version 1 is migrated, and its runs keep their places in the queue", async () => {
  await using c = await Fixture.start({}, "together", writeVersion1);
  const { runs } = (await c.get("/runs")).body;
  expect(runs.map((run: Record<string, unknown>) => [run["run_id"], run["status"], run["waiting_for"]])).toEqual([
    ["run_over", "completed", null],
    ["run_busy", "running", null],
    ["run_behind1", "pending", "turn"],
    ["run_behind2", "pending", "turn"],
    ["run_idle", "pending", "runner"],
  ]);
  const runner = await c.register({ tags: ["a"] });
  expect((await c.claim(runner)).run_id).toBe("run_idle");
  await c.post("/sessions/busy/stop");
  expect(await c.runStatus("run_behind2")).toBe("stopped");
  expect((await c.get("/sessions/over/events")).body.events).toHaveLength(1);
});

test("a tree of an older version is counted from what there is, runs of deleted sessions included", async () => {
  const write = (path: string): void => {
    using db = new Database(path);
    for (const step of MIGRATIONS.slice(0, 4)) db.run(step);
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.run("PRAGMA user_version = 4");
    const session = db.query(
      `INSERT INTO sessions (session_id, status, created_at, execution_mode, parent_session_id)
       VALUES (?, 'finished', '${T}', 'sync', ?)`,
    );
    const run = db.query(
      `INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, created_at, completed_at,
         parent_session_id)
       VALUES (?, ?, ?, 'do it', 'sync', 'completed', '${T}', '${T}', ?)`,
    );
    for (const [id, parent] of [
      ["root", null],
      ["child", "root"],
      ["leaf", "child"],
      ["orphan", "deleted"],
    ] as const) {
      session.run(id, parent);
      run.run(`run_${id}`, "start_session", id, parent);
    }
    run.run("run_again", "resume_session", "child", "root");
    run.run("run_deleted", "start_session", "deleted", "root");
  };
  await using c = await Fixture.start({}, "together", write);
  const shapes = ["root", "child", "leaf", "orphan"].map(async (id) => (await c.get(`/sessions/${id}/tree`)).body.tree);
  expect(await Promise.all(shapes)).toEqual([
    { depth: 0, children: 2, runs: 5 },
    { depth: 1, children: 1, runs: 5 },
    { depth: 2, children: 0, runs: 5 },
    { depth: 0, children: 0, runs: 1 },
  ]);
});
