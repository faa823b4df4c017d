import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { until } from "../harness/until.ts";
import { Fixture } from "./fixture.ts";

const OLD = "2020-01-01T00:00:00.000Z";
const HOUR_MS = 3_600_000;

/** Makes what is in the database look old, and starts the coordinator again, which keeps an hour. */
async function age(c: Fixture, statements: readonly string[]): Promise<void> {
  await c.restart({ keepMs: HOUR_MS }, () => {
    using db = new Database(c.databasePath);
    for (const statement of statements) db.run(statement);
  });
}

const ageAll = [
  `UPDATE runs SET created_at = '${OLD}', completed_at = '${OLD}' WHERE completed_at IS NOT NULL`,
  `UPDATE sessions SET created_at = '${OLD}'`,
];

test("old runs go, with their sessions, events and idempotency keys; what is open, or young, stays", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  for (const session_id of ["parent", "old"]) {
    await c.start({ session_id });
    await c.execute(runner, "completed", "result");
  }
  await c.start({ session_id: "child", parent_session_id: "parent" });
  await c.execute(runner, "completed", "result");
  await c.call(
    "POST",
    "/runs",
    { type: "start_session", prompt: "x", session_id: "keyed" },
    { headers: { "idempotency-key": "k" } },
  );
  await c.execute(runner, "failed");
  const open = await c.start({ session_id: "open" });
  await age(c, [...ageAll, `UPDATE idempotency_keys SET created_at = '${OLD}'`]);
  await until("all that is old is gone", async () => (await c.get("/sessions")).body.sessions.length === 1);
  expect((await c.get("/runs")).body.runs).toMatchObject([{ run_id: open.run_id }]);
  expect(await c.sessionStatus("open")).toBe("pending");
  await c.coordinator.close();
  using db = new Database(c.databasePath);
  const count = (table: string): number =>
    db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? -1;
  expect([count("events"), count("idempotency_keys")]).toEqual([0, 0]);
});

test("a session that goes on loses its old runs with their events, and keeps the events of the runs that stay", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "s" });
  const first = await c.execute(runner, "completed", "old answer");
  await c.resume("s");
  const second = await c.execute(runner, "completed", "young answer");
  await age(c, [
    `UPDATE runs SET completed_at = '${OLD}' WHERE run_id = '${first.run_id}'`,
    `UPDATE sessions SET created_at = '${OLD}'`,
  ]);
  await until("the old run is gone", async () => (await c.get("/runs")).body.runs.length === 1);
  expect((await c.get("/runs")).body.runs).toMatchObject([{ run_id: second.run_id }]);
  const { events } = (await c.get("/sessions/s/events")).body;
  expect(events).toMatchObject([{ content: [{ text: "young answer" }] }]);
});

test("a parent stays, with its result, while a child of it does", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "parent" });
  await c.execute(runner, "completed", "the result");
  await c.start({ session_id: "child", parent_session_id: "parent" });
  await age(c, ageAll);
  await until("the old run is gone", async () => (await c.get("/runs")).body.runs.length === 1);
  await until("the sessions were looked at", async () => (await c.get("/sessions/parent")).status === 200);
  expect((await c.get("/sessions/parent/result")).body).toEqual({ result: "the result" });
});

test("more than one piece's worth of runs and events goes, and requests are answered meanwhile", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "long" });
  await c.execute(runner, "completed", "x");
  await age(c, [
    ...ageAll,
    `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
     INSERT INTO events (session_id, is_answer, body) SELECT 'long', 0, '{"event_type":"x","session_id":"long"}' FROM n`,
    `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
     INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, created_at, completed_at)
     SELECT 'run_' || i, 'resume_session', 'long', 'x', 'sync', 'completed', '${OLD}', '${OLD}' FROM n`,
  ]);
  expect((await c.get("/health")).status).toBe(200);
  await until("all is gone", async () => (await c.sessionStatus("long")) === "not_existent");
  expect((await c.get("/runs")).body.runs).toEqual([]);
});

test("without a limit everything stays", async () => {
  await using c = await Fixture.start({ housekeepingEveryMs: 5 });
  const runner = await c.register();
  await c.start();
  await c.execute(runner, "completed");
  await c.restart({}, () => {
    using db = new Database(c.databasePath);
    for (const statement of ageAll) db.run(statement);
  });
  await c.start({ not_before: new Date(Date.now() + 50).toISOString(), session_id: "clock" });
  await until("time has passed", async () => (await c.poll(runner)).body?.run?.session_id === "clock");
  expect((await c.get("/runs")).body.runs).toHaveLength(2);
});
