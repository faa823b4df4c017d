import { expect, test } from "bun:test";
import { Fixture } from "../coordinator/fixture.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { ToolWorld } from "./tool-world.ts";

async function world(): Promise<{ c: Fixture; w: ToolWorld; runner: string } & AsyncDisposable> {
  const c = await Fixture.start({ pollTimeoutMs: 5_000 });
  const w = await ToolWorld.at(c.coordinator.url);
  const runner = await c.register();
  await c.claim(runner);
  return {
    c,
    w,
    runner,
    async [Symbol.asyncDispose]() {
      await w[Symbol.asyncDispose]();
      await c[Symbol.asyncDispose]();
    },
  };
}

/** Sends one message of a client older than MCP 2026. */
function post(
  url: string,
  message: object,
  more: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> {
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...more.headers,
  };
  return fetch(url, {
    method: "POST",
    headers,
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    ...(more.signal ? { signal: more.signal } : {}),
  });
}

const INITIALIZE = {
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "old", version: "1" } },
};
const SYNC = {
  method: "tools/call",
  params: { name: "start_agent_session", arguments: { prompt: "p" }, _meta: { progressToken: "t" } },
};

/** The session id that the server gives an old client, as a header. */
async function sessionOf(url: string): Promise<Record<string, string>> {
  const response = await post(url, { id: 0, ...INITIALIZE });
  await response.text();
  return { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
}

test("sync: sends progress while it waits, and ends with the run", async () => {
  await using t = await world();
  const received: unknown[] = [];
  const answer = (await t.w.agent()).call(
    "start_agent_session",
    { prompt: "p" },
    { onprogress: (progress) => void received.push(progress) },
  );
  await until("progress", () => received.length > 0);
  expect(t.w.waiting).toEqual(["run_root"]);
  const { session_id } = await t.c.execute(t.runner, "completed", "r");
  expect(received[0]).toMatchObject({ progress: 1, message: expect.stringContaining(session_id) });
  expect((await answer).value).toMatchObject({ result_text: "r" });
  expect(t.w.waiting).toEqual([]);
});

test("sync: a cancelled call ends the wait, not the child", async () => {
  await using t = await world();
  const cancel = new AbortController();
  const answer = (await t.w.agent())
    .call("start_agent_session", { prompt: "p" }, { signal: cancel.signal })
    .catch(() => "cancelled");
  await until("it waits", () => t.w.waiting.length === 1);
  cancel.abort();
  expect(await answer).toBe("cancelled");
  await until("the wait is over", () => t.w.waiting.length === 0);
  const run = await t.c.claim(t.runner);
  expect((await t.c.report(run.run_id, "started", t.runner)).status).toBe(200);
  expect((await t.c.report(run.run_id, "completed", t.runner)).status).toBe(200);
});

test("sync, MCP before 2026: notifications/cancelled ends the call of that client only", async () => {
  await using t = await world();
  const [mine, other] = [await sessionOf(t.w.mcpUrl), await sessionOf(t.w.mcpUrl)];
  expect(mine["mcp-session-id"]).not.toBe(other["mcp-session-id"]);
  const calls = [mine, other].map((headers) => post(t.w.mcpUrl, { id: 5, ...SYNC }, { headers }));
  await until("both wait", () => t.w.waiting.length === 2);
  const cancel = { method: "notifications/cancelled", params: { requestId: 5, reason: "enough" } };
  expect((await post(t.w.mcpUrl, cancel, { headers: mine })).status).toBe(202);
  await until("one wait is over", () => t.w.waiting.length === 1);
  const [first, second] = await Promise.all(calls);
  expect(await first?.text()).toContain("The call was cancelled");
  for (let i = 0; i < 2; i++) await t.c.execute(t.runner, "completed", "the result");
  expect(await second?.text()).toContain("the result");
});

test("sync, MCP before 2026: a closed connection ends the wait", async () => {
  await using t = await world();
  const disconnect = new AbortController();
  const call = post(t.w.mcpUrl, { id: 5, ...SYNC }, { signal: disconnect.signal }).then((response) => response.text());
  await until("it waits", () => t.w.waiting.length === 1);
  disconnect.abort();
  await call.catch(() => {});
  await until("the wait is over", () => t.w.waiting.length === 0);
});

test("sync: the end of the caller's own run ends the wait", async () => {
  await using t = await world();
  const answer = (await t.w.agent()).call("start_agent_session", { prompt: "p" }).catch(() => null);
  await until("it waits", () => t.w.waiting.length === 1);
  t.w.gateway.revoke(t.w.grant);
  await until("the wait is over", () => t.w.waiting.length === 0);
  await answer;
});

test("sync: a draining runner returns the handle with the reason, to waiting and to new calls", async () => {
  await using t = await world();
  const agent = await t.w.agent();
  const waiting = agent.call("start_agent_session", { prompt: "p" });
  await until("it waits", () => t.w.waiting.length === 1);
  t.w.draining.abort();
  const late = agent.call("start_agent_session", { prompt: "p" });
  for (const { isError, value } of [await waiting, await late]) {
    expect(isError).toBe(false);
    const { session_id, status, result_text, message } = value;
    expect({ status, result_text }).toEqual({ status: "pending", result_text: null });
    expect(message).toContain("shutting down");
    expect((await agent.call("get_agent_session_status", { session_id, wait_seconds: 60 })).value).toEqual({
      session_id,
      status: "pending",
    });
  }
});

test("sync: 260 waiting calls do not block other requests of the run", async () => {
  await using t = await world();
  const headers = await sessionOf(t.w.mcpUrl);
  // A process has at most 256 requests in flight, so a separate process makes these calls.
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
  };
  const script = `
    for (let id = 0; id < 260; id++) {
      const body = JSON.stringify({ jsonrpc: "2.0", id, ...${JSON.stringify(SYNC)} });
      fetch(${JSON.stringify(t.w.mcpUrl)}, { ...${JSON.stringify(init)}, body }).then((r) => r.text()).catch(() => {});
    }`;
  await using client = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "400" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  await until("all wait", () => t.w.waiting.length === 260);
  for (let i = 0; i < 20; i++) {
    const response = await fetch(`${t.w.gateway.urlOf(t.w.grant)}/agents`, { signal: AbortSignal.timeout(AT_ONCE_MS) });
    expect(response.status).toBe(200);
  }
  client.kill("SIGKILL");
  await client.exited;
  await until("none waits", () => t.w.waiting.length === 0);
}, 60_000);
