import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { IS_POSTGRES } from "../../../harness/postgres.ts";
import { type Answer, Fixture } from "../../fixture.ts";

const ADMIN = "an-admin-token-of-the-test-0123456789";

class Access implements AsyncDisposable {
  private constructor(readonly c: Fixture) {}

  static async start(): Promise<Access> {
    const c = await Fixture.start({ pollTimeoutMs: 20_000 });
    await c.restart({ token: ADMIN });
    return new Access(c);
  }

  call(token: string, method: string, path: string, body?: unknown): Promise<Answer> {
    return this.c.call(method, path, body, { headers: { authorization: `Bearer ${token}` } });
  }

  async token(name: string, role: string, more: object = {}): Promise<string> {
    return (await this.call(ADMIN, "POST", "/tokens", { name, role, ...more })).body.token;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.c[Symbol.asyncDispose]();
  }
}

describe("a token", () => {
  test("is valid until it is revoked, also after a restart; the database has no secret", async () => {
    await using access = await Access.start();
    const token = await access.token("ci", "submit");
    expect(token).toMatch(/^[\w-]{43}$/);
    expect((await access.call(token, "GET", "/caller")).body).toEqual({ name: "ci", role: "submit" });
    await access.c.restart({ token: ADMIN }, () => {
      for (const file of [access.c.databasePath, `${access.c.databasePath}-wal`])
        expect(readFileSync(file, { flag: "a+" }).includes(token)).toBeFalse();
    });
    expect((await access.call(token, "GET", "/runs")).status).toBe(200);
    expect((await access.call(ADMIN, "DELETE", "/tokens/ci")).status).toBe(200);
    expect((await access.call(token, "GET", "/runs")).status).toBe(401);
    expect((await access.call(ADMIN, "DELETE", "/tokens/ci")).status).toBe(404);
  });

  test("is listed without its secret; a name is given once, and admin never", async () => {
    await using access = await Access.start();
    const token = await access.token("ci", "read", { expires_in_seconds: 3_600 });
    const { body } = await access.call(ADMIN, "GET", "/tokens");
    expect(body.tokens).toEqual([
      { name: "ci", role: "read", created_at: expect.any(String), created_by: "admin", expires_at: expect.any(String) },
    ]);
    expect(JSON.stringify(body)).not.toContain(token);
    const again = await access.call(ADMIN, "POST", "/tokens", { name: "ci", role: "admin" });
    expect([again.status, again.body.detail]).toEqual([409, expect.stringContaining("revoke it first")]);
    const refused = [
      { name: "admin", role: "read" },
      { name: "a b", role: "read" },
      { name: "x".repeat(65), role: "read" },
      { name: "x", role: "root" },
      { name: "x", role: "read", expires_in_seconds: 0 },
      { name: "x", role: "read", expires_in_seconds: 1e12 },
    ];
    for (const each of refused) expect((await access.call(ADMIN, "POST", "/tokens", each)).status).toBe(422);
  });

  test("ends at its time, with its open stream; its name is free then", async () => {
    await using access = await Access.start();
    const token = await access.token("short", "read", { expires_in_seconds: 1 });
    const headers = { authorization: `Bearer ${token}` };
    const stream = await fetch(`${access.c.coordinator.url}/sse/sessions`, { headers });
    expect(stream.status).toBe(200);
    await stream.text();
    expect((await access.call(token, "GET", "/caller")).status).toBe(401);
    expect((await access.call(ADMIN, "GET", "/tokens")).body.tokens).toEqual([]);
    expect(await access.token("short", "read")).toBeString();
  });

  test("that is revoked ends its open streams and polls, and no others", async () => {
    await using access = await Access.start();
    const [runner, other] = [await access.token("r", "runner"), await access.token("o", "read")];
    const registration = { hostname: "h", project_dir: "/p", executor_type: "e" };
    const { runner_id } = (await access.call(runner, "POST", "/runner/register", registration)).body;
    const poll = access.call(runner, "GET", `/runner/runs?runner_id=${runner_id}`);
    const open = (token: string) =>
      fetch(`${access.c.coordinator.url}/sse/sessions?include_init=false`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const [ended, kept] = [await open(runner), await open(other)];
    const reader = kept.body?.getReader();
    await reader?.read();
    await access.call(ADMIN, "DELETE", "/tokens/r");
    await ended.text();
    expect((await poll).status).toBe(204);
    await access.call(ADMIN, "POST", "/sessions", { session_id: "ses_of_the_test" });
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("session_created");
    await reader?.cancel();
    const run = (await access.call(ADMIN, "POST", "/runs", { type: "start_session", prompt: "x" })).body;
    expect((await access.call(runner, "GET", `/runner/runs?runner_id=${runner_id}`)).status).toBe(401);
    expect((await access.call(ADMIN, "GET", `/runs/${run.run_id}`)).body.status).toBe("pending");
  });

  test("does not take over the open runs of a runner with another token, until that is revoked", async () => {
    await using access = await Access.start();
    const [first, other] = [await access.token("first", "runner"), await access.token("other", "runner")];
    const identity = { hostname: "h", project_dir: "/p", executor_type: "e" };
    const register = (token: string, fields: object) =>
      access.call(token, "POST", "/runner/register", { ...identity, ...fields });
    const { runner_id } = (await register(first, { instance_id: "instance-1" })).body;
    const { run_id } = (await access.call(ADMIN, "POST", "/runs", { type: "start_session", prompt: "x" })).body;
    const poll = { headers: { authorization: `Bearer ${first}`, "x-runner-instance": "instance-1" } };
    const claimed = await access.c.call("GET", `/runner/runs?runner_id=${runner_id}`, undefined, poll);
    expect(claimed.body.run.run_id).toBe(run_id);
    // The first runner is gone for the coordinator, and its executor goes on.
    await access.call(ADMIN, "DELETE", `/runners/${runner_id}`);
    const taken = await register(other, { instance_id: "instance-2", supersedes: ["instance-0"] });
    expect([taken.status, taken.body.detail]).toEqual([403, expect.stringContaining("claimed with the token first")]);
    const report = { headers: { authorization: `Bearer ${other}`, "x-runner-instance": "instance-2" } };
    for (const end of ["started", "completed"])
      expect((await access.c.call("POST", `/runner/runs/${run_id}/${end}`, { runner_id }, report)).status).toBe(401);
    expect((await register(first, { instance_id: "instance-3" })).status).toBe(200);
    await access.call(ADMIN, "DELETE", `/runners/${runner_id}`);
    // The runner itself, with a new token.
    expect((await register(other, { instance_id: "instance-4", supersedes: ["instance-3"] })).status).toBe(200);
    await access.call(ADMIN, "DELETE", `/runners/${runner_id}`);
    await access.call(ADMIN, "DELETE", "/tokens/first");
    expect((await register(other, { instance_id: "instance-5" })).status).toBe(200);
  });

  test("makes links to the dashboard for its own role", async () => {
    await using access = await Access.start();
    const token = await access.token("viewer", "read");
    const { code } = (await access.call(token, "POST", "/login/codes")).body;
    expect((await access.c.post("/login", { code })).body).toEqual({ token });
  });

  test("is of no use without a coordinator's own token", async () => {
    await using c = await Fixture.start();
    expect((await c.post("/tokens", { name: "ci", role: "read" })).status).toBe(409);
    expect((await c.get("/caller")).body).toEqual({ name: null, role: "admin" });
  });
});

describe("who did what", () => {
  test("stands on the run, on its retries, and in the audit list; reads do not", async () => {
    await using access = await Access.start();
    const ci = await access.token("ci", "submit");
    const runner = await access.token("worker", "runner");
    const registration = { hostname: "h", project_dir: "/p", executor_type: "e" };
    const { runner_id } = (await access.call(runner, "POST", "/runner/register", registration)).body;
    const fields = { type: "start_session", prompt: "x", max_attempts: 2, retry_delay_seconds: 0 };
    const { run_id, session_id } = (await access.call(ci, "POST", "/runs", fields)).body;
    await access.call(runner, "GET", `/runner/runs?runner_id=${runner_id}`);
    await access.call(runner, "POST", `/runner/runs/${run_id}/started`, { runner_id });
    const failed = { runner_id, error: "lost", reason: "temporary" };
    await access.call(runner, "POST", `/runner/runs/${run_id}/failed`, failed);
    const { retried_by } = (await access.call(ci, "GET", `/runs/${run_id}`)).body;
    await access.call(ADMIN, "POST", `/runs/${retried_by}/stop`);
    expect((await access.call(ci, "GET", `/runs/${run_id}`)).body).toMatchObject({
      created_by: "ci",
      created_from: "127.0.0.1",
      stopped_by: null,
    });
    expect((await access.call(ci, "GET", `/runs/${retried_by}`)).body).toMatchObject({
      created_by: "ci",
      stopped_by: "admin",
      stopped_from: "127.0.0.1",
    });
    await access.call(ci, "GET", "/runs");
    await access.call(ci, "POST", "/agents", { name: "x", description: "d" });
    await access.call(ci, "POST", "/runs", { type: "start_session" });
    await access.call(ADMIN, "POST", "/agents", { name: "x", description: "d" });
    const { audit } = (await access.call(ADMIN, "GET", "/audit")).body;
    expect(
      audit.map(({ token, role, action, subject }: Record<string, unknown>) => [token, role, action, subject]),
    ).toEqual([
      ["admin", "admin", "POST /agents", "x"],
      ["admin", "admin", "POST /runs/:run_id/stop", retried_by],
      ["ci", "submit", "POST /runs", run_id],
      ["worker", "runner", "POST /runner/register", runner_id],
      ["admin", "admin", "POST /tokens", "worker"],
      ["admin", "admin", "POST /tokens", "ci"],
    ]);
    expect(session_id).toBeString();
  });

  test("is listed in pages, newest first; a repeated request is no second change", async () => {
    await using access = await Access.start();
    const headers = { authorization: `Bearer ${ADMIN}`, "idempotency-key": "once" };
    for (let i = 0; i < 2; i++)
      await access.c.call("POST", "/runs", { type: "start_session", prompt: "x" }, { headers });
    for (const name of ["a", "b", "c"]) await access.token(name, "read");
    const first = (await access.call(ADMIN, "GET", "/audit?limit=2")).body;
    expect(first.audit.map(({ subject }: { subject: string }) => subject)).toEqual(["c", "b"]);
    const second = (await access.call(ADMIN, "GET", `/audit?limit=100&cursor=${first.next_cursor}`)).body;
    expect(second.audit.map(({ action }: { action: string }) => action)).toEqual(["POST /tokens", "POST /runs"]);
    expect(second.next_cursor).toBeNull();
  });

  // Opens the file by hand; tests/coordinator/store/postgres/schema.test.ts has the same for a server.
  test.skipIf(IS_POSTGRES)("cannot be altered in the database, and keeps the newest 100,000 rows", async () => {
    await using access = await Access.start();
    await access.token("a", "read");
    await access.c.coordinator.close();
    using db = new Database(access.c.databasePath);
    const refused = [
      "UPDATE audit SET token = 'other'",
      "DELETE FROM audit",
      "REPLACE INTO audit (seq, at, role, address, action) VALUES (1, '', '', '', '')",
    ];
    for (const sql of refused) expect(() => db.run(sql)).toThrow("append-only");
    db.run(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101998)
            INSERT INTO audit (at, role, address, action) SELECT '', 'admin', '', 'x' FROM n`);
    expect(() => db.run("DELETE FROM audit WHERE seq = 2000")).toThrow("append-only");
    db.close();
    await access.c.restart({ token: ADMIN });
    await access.token("b", "read");
    const count = await access.call(ADMIN, "GET", "/audit?limit=1");
    expect(count.body.audit[0].seq).toBe(102_000);
    await access.c.coordinator.close();
    using after = new Database(access.c.databasePath);
    expect(after.query("SELECT count(*) AS n, min(seq) AS first FROM audit").get()).toEqual({
      n: 100_000,
      first: 2_001,
    });
  });
});

test("a poll, report, heartbeat or output without the instance of its runner is refused; others go on", async () => {
  await using c = await Fixture.start();
  const runner = await c.register({ instance_id: "instance-a" });
  const python = await c.register({ hostname: "python" });
  const { run_id } = await c.start();
  const bare = (method: string, path: string, body?: unknown) => c.call(method, path, body);
  for (const headers of [{}, { "x-runner-instance": "instance-b" }]) {
    const calls: [string, string, unknown?][] = [
      ["GET", `/runner/runs?runner_id=${runner}`],
      ["POST", "/runner/heartbeat", { runner_id: runner }],
      ["POST", `/runner/runs/${run_id}/started`, { runner_id: runner }],
      ["POST", `/runner/runs/${run_id}/output`, { runner_id: runner, request_id: "x", kind: "missing" }],
      ["DELETE", `/runners/${runner}?self=true`],
    ];
    for (const [method, path, body] of calls) {
      const { status } = await c.call(method, path, body, { headers });
      // The body of an output may be refused as such, after the caller is not known.
      expect([path, [401, 422].includes(status)]).toEqual([path, true]);
    }
  }
  expect(await c.runStatus(run_id)).toBe("pending");
  expect((await bare("POST", "/runner/heartbeat", { runner_id: python })).status).toBe(200);
  expect((await bare("GET", `/runner/runs?runner_id=${python}`)).body.run.run_id).toBe(run_id);
  const { run_id: second } = await c.start();
  expect((await c.claim(runner)).run_id).toBe(second);
});
