import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close().catch(() => {});
});

async function clientOf(url: string, headers: Record<string, string> = {}): Promise<Client> {
  const client = new Client({ name: "agent-of-the-test", version: "1" });
  clients.push(client);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

interface Answer {
  readonly isError: boolean;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly value: any;
}

async function call(client: Client, name: string, given: Record<string, unknown> = {}): Promise<Answer> {
  const result = await client.callTool({ name, arguments: given }, { timeout: 50_000 });
  const [content] = result.content;
  return {
    isError: result.isError === true,
    text: content?.type === "text" ? content.text : "",
    value: result.structuredContent,
  };
}

/** The MCP URL of a run that waits for its release. The test acts as the run's agent. */
async function mcpUrlOf(world: World, runId: string): Promise<string> {
  await world.file(`${runId}.ready`);
  const api = /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${runId}.env`))?.[1] ?? "";
  return `${api}/mcp`;
}

async function release(world: World, runId: string): Promise<void> {
  await world.file(`${runId}.ready`);
  writeFileSync(world.path(`${runId}.release`), "0");
}

async function childOf(
  api: CoordinatorApi,
  parentSessionId: string,
  index = 0,
): Promise<{ run_id: string; session_id: string; status: string }> {
  return until("a child run", async () => {
    const runs = (await api.runs()) as unknown as {
      run_id: string;
      session_id: string;
      status: string;
      parent_session_id: string | null;
    }[];
    return runs.filter(({ parent_session_id }) => parent_session_id === parentSessionId)[index];
  });
}

test("--max-concurrent 1: a sync child runs while its parent waits, and a grandchild too", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "waits-for-release", ["--max-concurrent", "1"]);
  const parent = await api.submit("orchestrate");
  const tools = await clientOf(await mcpUrlOf(world, parent.run_id));
  const answer = call(tools, "start_agent_session", { prompt: "child" });
  const child = await childOf(api, parent.session_id);
  const childTools = await clientOf(await mcpUrlOf(world, child.run_id));
  const childAnswer = call(childTools, "start_agent_session", { prompt: "grandchild" });
  const grandchild = await childOf(api, child.session_id);
  await release(world, grandchild.run_id);
  expect((await childAnswer).value).toMatchObject({ session_id: grandchild.session_id, result_text: "released" });
  await release(world, child.run_id);
  expect((await answer).value).toMatchObject({ session_id: child.session_id, result_text: "released" });
  await release(world, parent.run_id);
  for (const { run_id } of [grandchild, child, parent]) await api.reached(run_id, "completed");
});

test("a drain returns the handle of a sync child to its parent, and does not wait for an unclaimed child", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "waits-for-release");
  const parent = await api.submit("orchestrate");
  const tools = await clientOf(await mcpUrlOf(world, parent.run_id), {
    "X-Additional-Demands": JSON.stringify({ tags: ["nobody-has-this"] }),
  });
  const answer = call(tools, "start_agent_session", { prompt: "child" });
  const child = await childOf(api, parent.session_id);
  runner.signal("SIGINT");
  const { isError, value } = await answer;
  expect([isError, value.session_id]).toEqual([false, child.session_id]);
  expect(value.message).toContain("shutting down");
  await release(world, parent.run_id);
  expect(await runner.exited).toBe(0);
  expect((await api.run(parent.run_id)).status).toBe("completed");
  expect((await api.run(child.run_id)).status).toBe("pending");
});

test("a connected client's MCP URL works again after the runner was killed and restarted", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "waits-for-release");
  const parent = await api.submit("orchestrate");
  const tools = await clientOf(await mcpUrlOf(world, parent.run_id));
  expect((await call(tools, "list_agent_sessions")).text).toBe("[]");
  first.signal("SIGKILL");
  await first.exited;
  const second = world.runner(api.url, "waits-for-release");
  await second.line(/Adopted run/);
  const answer = call(tools, "start_agent_session", { prompt: "child" });
  const child = await childOf(api, parent.session_id);
  await release(world, child.run_id);
  expect((await answer).value).toMatchObject({ session_id: child.session_id, result_text: "released" });
  await release(world, parent.run_id);
  await api.reached(parent.run_id, "completed");
});

test("callbacks through the tools: two children end, and one resume brings both results", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "waits-for-release");
  const parent = await api.submit("orchestrate");
  const tools = await clientOf(await mcpUrlOf(world, parent.run_id));
  const children = [];
  for (const prompt of ["one", "two"])
    children.push((await call(tools, "start_agent_session", { prompt, mode: "async_callback" })).value);
  await release(world, parent.run_id);
  await api.reached(parent.run_id, "completed");
  for (const { run_id } of children) {
    await release(world, run_id);
    await api.reached(run_id, "completed");
  }
  const resume = await until("the resume", async () =>
    (await api.runs()).find(({ type }) => type === "resume_session"),
  );
  expect(resume.prompt).toContain('<agent-callback type="aggregated" count="2">');
  await release(world, resume.run_id);
  await api.reached(resume.run_id, "completed");
  expect(await api.runs()).toHaveLength(4);
});

test("limits: an executor's POST /runs and a tool give the same error", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "waits-for-release", ["--max-children", "1", "--max-depth", "1"]);
  const parent = await api.submit("orchestrate");
  const url = await mcpUrlOf(world, parent.run_id);
  const tools = await clientOf(url);
  const { value: child } = await call(tools, "start_agent_session", { prompt: "one", mode: "async_poll" });
  const refused = await call(tools, "start_agent_session", { prompt: "two", mode: "async_poll" });
  expect(refused.isError).toBe(true);
  expect(refused.text).toContain("the limit is 1. Resume one of them");
  const raw = await fetch(url.replace("/mcp", "/runs"), {
    method: "POST",
    body: JSON.stringify({ type: "start_session", prompt: "two" }),
  });
  expect(raw.status).toBe(403);
  expect(refused.text).toContain(((await raw.json()) as { detail: string }).detail);
  const childTools = await clientOf(await mcpUrlOf(world, child.run_id));
  expect(await call(childTools, "start_agent_session", { prompt: "deeper" })).toMatchObject({
    isError: true,
    text: expect.stringContaining("--max-depth"),
  });
  for (const { run_id } of [parent, child]) await release(world, run_id);
  for (const { run_id } of [parent, child]) await api.reached(run_id, "completed");
});

test("--mcp-port: agents outside of runs use a token from the state folder; the log has its path", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "test-executor", ["--mcp-port", "0"]);
  const [, url = "", path = ""] = await runner.line(/agents outside of runs: (\S+) \(bearer token: (\S+)\)/);
  expect(path).toStartWith(world.stateDir);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const token = readFileSync(path, "utf8").trim();
  expect(runner.stdout()).not.toContain(token);
  expect((await fetch(url, { method: "POST", body: "{}" })).status).toBe(401);
  const tools = await clientOf(url, { authorization: `Bearer ${token}` });
  const { value } = await call(tools, "start_agent_session", { prompt: "hello from outside" });
  expect(value.result_text).toContain("hello from outside");
});

test("--mcp-port: no executor inherits the user's own token; a port in use ends the start", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "waits-for-release", ["-m", "0"], {
    AGENT_RUNNER_MCP_TOKEN: "token-of-the-user",
  });
  const [, url = ""] = await runner.line(/agents outside of runs: (\S+) /);
  const tools = await clientOf(url, { authorization: "Bearer token-of-the-user" });
  const { value } = await call(tools, "start_agent_session", { prompt: "x", mode: "async_poll" });
  await release(world, value.run_id);
  expect(await world.file(`${value.run_id}.env`)).not.toContain("token-of-the-user");
  await api.reached(value.run_id, "completed");
  const second = await world.run(["-c", api.url, "-x", "test-executor", "--mcp-port", new URL(url).port]);
  expect([second.code, second.stderr]).toEqual([
    1,
    expect.stringContaining("is in use by another program") as unknown as string,
  ]);
});

test("--external-mcp-url replaces the URL of the run's own tools, and excludes --mcp-port", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const mcp_servers = {
    orchestrator: {
      type: "http",
      url: "${AGENT_ORCHESTRATOR_MCP_URL}",
      headers: { "X-Agent-Session-Id": "${AGENT_SESSION_ID}" },
    },
  };
  fake.state.agents.set("boss", { name: "boss", mcp_servers });
  const url = "http://127.0.0.1:9/other/mcp";
  world.runner(fake.url, "records-invocation", ["--external-mcp-url", url]);
  const run = fake.queue({ agent_name: "boss" });
  await until("completed", () => run.status === "completed");
  const invocation = JSON.parse(await world.file(`${run.run_id}.stdin`)) as {
    agent_blueprint: { mcp_servers: typeof mcp_servers };
  };
  expect(invocation.agent_blueprint.mcp_servers.orchestrator).toMatchObject({
    url,
    headers: { "X-Agent-Session-Id": run.session_id },
  });
  const both = await world.run(["-x", "test-executor", "--mcp-port", "0", "--external-mcp-url", url]);
  expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("exclude each other") as unknown as string]);
});
