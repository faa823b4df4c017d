import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { until } from "../harness/until.ts";
import { Fixture } from "./fixture.ts";

const OLD = "2020-01-01T00:00:00.000Z";
const HOUR_MS = 3_600_000;

/** Ages all rows of the database, then restarts the coordinator with a limit of one hour. */
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

test("old runs are removed with their sessions, events and idempotency keys; open and recent runs stay", async () => {
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
  await until("everything old is removed", async () => (await c.get("/sessions")).body.sessions.length === 1);
  expect((await c.get("/runs")).body.runs).toMatchObject([{ run_id: open.run_id }]);
  expect(await c.sessionStatus("open")).toBe("pending");
  await c.coordinator.close();
  using db = new Database(c.databasePath);
  const count = (table: string): number =>
    db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? -1;
  expect([count("events"), count("idempotency_keys")]).toEqual([0, 0]);
});

test("a session with recent runs loses its old runs with their events, and keeps its recent events", async () => {
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
  await until("the old run is removed", async () => (await c.get("/runs")).body.runs.length === 1);
  expect((await c.get("/runs")).body.runs).toMatchObject([{ run_id: second.run_id }]);
  const { events } = (await c.get("/sessions/s/events")).body;
  expect(events).toMatchObject([{ content: [{ text: "young answer" }] }]);
});

test("a parent stays, with its result, as long as one of its children", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "parent" });
  await c.execute(runner, "completed", "the result");
  await c.start({ session_id: "child", parent_session_id: "parent" });
  await age(c, ageAll);
  await until("the old run is removed", async () => (await c.get("/runs")).body.runs.length === 1);
  await until("the sessions were checked", async () => (await c.get("/sessions/parent")).status === 200);
  expect((await c.get("/sessions/parent/result")).body).toMatchObject({ result: "the result" });
});

test("more runs and events than one step removes are removed, and requests are answered in between", async () => {
  await using c = await Fixture.start();
  const runner = await c.register();
  await c.start({ session_id: "long" });
  await c.execute(runner, "completed", "x");
  await age(c, [
    ...ageAll,
    `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
     INSERT INTO events (session_id, is_answer, body)
     SELECT 'long', 0, '{"event_type":"x","session_id":"long"}' FROM n`,
    `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
     INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, created_at, completed_at)
     SELECT 'run_' || i, 'resume_session', 'long', 'x', 'sync', 'completed', '${OLD}', '${OLD}' FROM n`,
  ]);
  expect((await c.get("/health")).status).toBe(200);
  await until("everything is removed", async () => (await c.sessionStatus("long")) === "not_existent");
  expect((await c.get("/runs")).body.runs).toEqual([]);
});

test("without a limit nothing is removed", async () => {
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
