import { describe, expect, test } from "bun:test";
import { ROLES, type Role } from "../../../../src/protocol/access/tokens.ts";
import { Fixture } from "../../fixture.ts";

const ADMIN = "an-admin-token-of-the-test-0123456789";
const asToken = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

interface Described {
  readonly method: string;
  readonly path: string;
  /** Null: the route needs no token. */
  readonly roles: readonly Role[] | null;
}

/** The routes as `/openapi.json` describes them. Throws for a route that says nothing about roles. */
async function describedRoutes(c: Fixture): Promise<Described[]> {
  const { body } = await c.call("GET", "/openapi.json", undefined, { headers: asToken(ADMIN) });
  return Object.entries<Record<string, Record<string, unknown>>>(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const roles = operation["x-roles"] as readonly Role[] | undefined;
      if (roles === undefined && operation["security"] === undefined) throw new Error(`no role: ${method} ${path}`);
      return { method: method.toUpperCase(), path, roles: roles ?? null };
    }),
  );
}

async function withTokens(): Promise<{ c: Fixture; tokens: Record<Role, string> }> {
  const c = await Fixture.start();
  await c.restart({ token: ADMIN });
  const tokens: Partial<Record<Role, string>> = {};
  for (const role of ROLES) {
    const body = { name: `the-${role}`, role };
    tokens[role] = (await c.call("POST", "/tokens", body, { headers: asToken(ADMIN) })).body.token;
  }
  return { c, tokens: tokens as Record<Role, string> };
}

/** One request to a route, with ids that name nothing and an empty body. The answer is not read: it may not end. */
async function ask(
  c: Fixture,
  { method, path }: Described,
  headers: Record<string, string>,
): Promise<{ status: number; detail: string }> {
  const url = c.coordinator.url + path.replaceAll(/\{\w+\}/g, "nothing");
  const end = new AbortController();
  const body = method === "POST" || method === "PATCH" ? { body: "{}" } : {};
  const response = await fetch(url, { method, headers, signal: end.signal, ...body });
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const detail = isStream ? "" : await response.text();
  end.abort();
  return { status: response.status, detail };
}

describe("each route with each role", () => {
  test("is refused with 403 and the roles that it needs, or is let through", async () => {
    const { c, tokens } = await withTokens();
    await using _ = c;
    const described = await describedRoutes(c);
    expect(described.length).toBeGreaterThan(45);
    const wrong: string[] = [];
    for (const route of described) {
      for (const role of ROLES) {
        const { status, detail } = await ask(c, route, asToken(tokens[role]));
        const isLetThrough = !(status === 403 && detail.includes(" needs "));
        const mayCall = route.roles?.includes(role) ?? true;
        const names = isLetThrough || (detail.includes(`the-${role} has the role ${role}`) && detail.includes("admin"));
        if (isLetThrough !== mayCall || !names || status === 401)
          wrong.push(`${role} ${route.method} ${route.path}: ${status} ${detail}`);
      }
    }
    // Both logins are refused as such: the code of the test is none.
    expect(wrong.filter((line) => !/POST \/login: 4(?:01|22)/.test(line))).toEqual([]);
  });

  test("needs a token, the right one, but for the open routes", async () => {
    const { c } = await withTokens();
    await using _ = c;
    for (const route of await describedRoutes(c)) {
      const expected = route.roles === null ? expect.any(Number) : 401;
      expect([route.path, (await ask(c, route, {})).status]).toEqual([route.path, expected]);
    }
    expect((await describedRoutes(c)).filter(({ roles }) => roles === null).map(({ path }) => path)).toEqual([
      "/health",
      "/login",
    ]);
  });

  test("is refused for a page of another origin, with a token and without", async () => {
    const { c } = await withTokens();
    await using _ = c;
    const pages = [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "http://localhost:1" },
      { origin: "null" },
    ];
    for (const route of await describedRoutes(c)) {
      for (const page of pages) {
        const { status, detail } = await ask(c, route, { ...asToken(ADMIN), ...page });
        expect([route.path, page, status, detail]).toEqual([
          route.path,
          page,
          403,
          expect.stringContaining("other origins"),
        ]);
      }
    }
  });
});

describe("what a role may change", () => {
  const writesOf = (described: readonly Described[], role: Role): string[] =>
    described
      .filter(({ method, roles }) => method !== "GET" && roles?.includes(role) === true)
      .map(({ method, path }) => `${method} ${path}`)
      .sort();

  test("read and answer: nothing but a link to the dashboard; submit: runs", async () => {
    const { c } = await withTokens();
    await using _ = c;
    const described = await describedRoutes(c);
    expect(writesOf(described, "read")).toEqual(["POST /login/codes"]);
    expect(writesOf(described, "answer")).toEqual(["POST /login/codes"]);
    expect(writesOf(described, "submit")).toEqual([
      "POST /login/codes",
      "POST /runs",
      "POST /runs/{run_id}/stop",
      "POST /sessions",
      "POST /sessions/{session_id}/stop",
      "POST /trees/{session_id}/stop",
    ]);
  });

  test("runner: its protocol, and what its gateway passes on", async () => {
    const { c } = await withTokens();
    await using _ = c;
    const described = await describedRoutes(c);
    expect(writesOf(described, "runner").filter((route) => !route.includes(" /runner/"))).toEqual([
      "DELETE /runners/{runner_id}",
      "DELETE /sessions/{session_id}",
      "PATCH /sessions/{session_id}/metadata",
      "POST /events",
      "POST /runs",
      "POST /runs/{run_id}/stop",
      "POST /sessions/{session_id}/bind",
      "POST /sessions/{session_id}/events",
      "POST /sessions/{session_id}/stop",
    ]);
  });

  test("only the admin: agents, tokens and the audit list", async () => {
    const { c } = await withTokens();
    await using _ = c;
    const admins = (await describedRoutes(c)).filter(({ roles }) => roles?.length === 1);
    expect(admins.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      "DELETE /agents/{name}",
      "DELETE /tokens/{name}",
      "GET /audit",
      "GET /tokens",
      "PATCH /agents/{name}",
      "PATCH /agents/{name}/status",
      "POST /agents",
      "POST /tokens",
    ]);
  });
});

describe("a runner's token", () => {
  async function withRun() {
    const { c, tokens } = await withTokens();
    const call = (method: string, path: string, body?: unknown, token = tokens.runner) =>
      c.call(method, path, body, { headers: asToken(token) });
    const other = await call("POST", "/runs", { type: "start_session", prompt: "other" }, tokens.submit);
    const runner = (await call("POST", "/runner/register", { hostname: "h", project_dir: "/p", executor_type: "e" }))
      .body.runner_id as string;
    const { run } = (await call("GET", `/runner/runs?runner_id=${runner}`)).body;
    expect(run.run_id).toBe(other.body.run_id);
    const foreign = (await call("POST", "/runs", { type: "start_session", prompt: "foreign" }, tokens.submit)).body;
    return { c, tokens, call, own: run, foreign };
  }

  test("starts runs only below a session that its runner executes", async () => {
    const { c, call, own, foreign } = await withRun();
    await using _ = c;
    const child = { type: "start_session", prompt: "child", parent_session_id: own.session_id };
    const started = await call("POST", "/runs", child);
    expect(started.status).toBe(200);
    const grandchild = await call("POST", "/runs", { ...child, parent_session_id: started.body.session_id });
    expect(grandchild.status).toBe(200);
    const alone = await call("POST", "/runs", { type: "start_session", prompt: "mine" });
    expect([alone.status, alone.body.detail]).toEqual([403, expect.stringContaining("may only write sessions")]);
    const below = await call("POST", "/runs", { ...child, parent_session_id: foreign.session_id });
    const resumed = await call("POST", "/runs", {
      type: "resume_session",
      session_id: foreign.session_id,
      prompt: "x",
    });
    expect([below.status, resumed.status]).toEqual([403, 403]);
  });

  test("gains nothing by the name of a runner that another token registered", async () => {
    const { c, tokens, call, own } = await withRun();
    await using _ = c;
    const { token } = (await call("POST", "/tokens", { name: "thief", role: "runner" }, ADMIN)).body;
    await call("DELETE", `/runners/${own.runner_id}`, undefined, tokens.admin);
    const same = { hostname: "h", project_dir: "/p", executor_type: "e" };
    expect((await call("POST", "/runner/register", same, token)).status).toBe(403);
    const child = { type: "start_session", prompt: "child", parent_session_id: own.session_id };
    expect((await call("POST", "/runs", child, token)).status).toBe(403);
    expect((await call("POST", `/runs/${own.run_id}/stop`, undefined, token)).status).toBe(403);
  });

  test("writes and stops only sessions of its runner, and deregisters only its own runner", async () => {
    const { c, tokens, call, own, foreign } = await withRun();
    await using _ = c;
    const event = { event_type: "message", session_id: own.session_id, role: "assistant", content: [] };
    expect((await call("POST", `/sessions/${own.session_id}/events`, event)).status).toBe(200);
    expect((await call("POST", "/events", event)).status).toBe(200);
    const id = foreign.session_id;
    const statuses = [
      await call("POST", `/sessions/${id}/events`, { ...event, session_id: id }),
      await call("POST", "/events", { ...event, session_id: id }),
      await call("PATCH", `/sessions/${id}/metadata`, { project_dir: "/" }),
      await call("POST", `/sessions/${id}/stop`),
      await call("POST", `/runs/${foreign.run_id}/stop`),
      await call("DELETE", `/sessions/${id}`),
    ].map(({ status }) => status);
    expect(statuses).toEqual(statuses.map(() => 403));
    const other = { hostname: "other", project_dir: "/p", executor_type: "e" };
    const { runner_id } = (await call("POST", "/runner/register", other, tokens.admin)).body;
    expect((await call("DELETE", `/runners/${runner_id}`)).status).toBe(403);
    expect((await call("DELETE", `/runners/${own.runner_id}`)).status).toBe(200);
  });
});
