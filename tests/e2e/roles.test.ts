import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { until } from "../harness/until.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close().catch(() => {});
});

interface Row {
  readonly run_id: string;
  readonly session_id: string;
  readonly status: string;
  readonly parent_session_id: string | null;
  readonly created_by: string | null;
}

/** A coordinator with its own token, and a command with the token of each role. */
async function withRoles(world: World) {
  const process = world.start(["coordinator", "--port", "0"]);
  const [, url = ""] = await process.line(/agent-runner -c (\S+)/, START_MS);
  const tokenOf = async (role: string): Promise<string> => {
    const { code, stdout } = await world.run(["tokens", "create", `the-${role}`, "--role", role, "-c", url]);
    expect(code).toBe(0);
    return stdout.trim();
  };
  const as = (token: string) => (args: readonly string[]) =>
    world.run([...args, "-c", url], { env: { AGENT_COORDINATOR_TOKEN: token }, home: world.path("elsewhere") });
  return { url, tokenOf, as };
}

test("a runner with a runner's token executes runs, and its agents start agents", async () => {
  await using world = new World();
  const { url, tokenOf, as } = await withRoles(world);
  const [worker, submit, read] = [await tokenOf("runner"), as(await tokenOf("submit")), as(await tokenOf("read"))];
  const runs = async (): Promise<Row[]> => JSON.parse((await read(["runs", "--json"])).stdout);
  const runner = world.runner(url, "waits-for-release", [], { AGENT_COORDINATOR_TOKEN: worker });
  await runner.line(/Runner started/, START_MS);
  const parent: Row = JSON.parse((await submit(["submit", "--json", "orchestrate"])).stdout);
  await world.file(`${parent.run_id}.ready`);
  const api = /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${parent.run_id}.env`))?.[1] ?? "";
  const client = new Client({ name: "agent-of-the-test", version: "1" });
  clients.push(client);
  await client.connect(new StreamableHTTPClientTransport(new URL(`${api}/mcp`)));
  const answer = client.callTool({ name: "start_agent_session", arguments: { prompt: "child" } }, { timeout: 50_000 });
  const child = await until("a child run", async () =>
    (await runs()).find(({ parent_session_id }) => parent_session_id === parent.session_id),
  );
  await world.file(`${child.run_id}.ready`);
  writeFileSync(world.path(`${child.run_id}.release`), "0");
  expect((await answer).structuredContent).toMatchObject({ session_id: child.session_id, result_text: "released" });
  writeFileSync(world.path(`${parent.run_id}.release`), "0");
  await until("both have completed", async () => (await runs()).every(({ status }) => status === "completed"));
  expect((await runs()).map(({ created_by }) => created_by)).toEqual(["the-submit", "the-runner"]);
});

test("each command is refused where the role does not allow it, and says which role does", async () => {
  await using world = new World();
  const { url, tokenOf, as } = await withRoles(world);
  const [read, worker] = [as(await tokenOf("read")), as(await tokenOf("runner"))];
  for (const args of [
    ["submit", "x"],
    ["stop", "run_0123456789ab"],
  ]) {
    const { code, stderr } = await read(args);
    expect([args, code, stderr]).toEqual([
      args,
      1,
      expect.stringMatching(/needs one of the roles submit, runner, admin; the token the-read has the role read/),
    ]);
  }
  for (const args of [["tokens"], ["audit"]])
    expect((await read(args)).stderr).toContain("needs the role admin; the token the-read has the role read");
  expect((await worker(["submit", "x"])).stderr).toContain("may only write sessions that its runners executed");
  const runner = world.runner(url, "exits-3", [], { AGENT_COORDINATOR_TOKEN: await tokenOf("submit") });
  expect(await runner.exited).toBe(1);
  expect(runner.stderr()).toContain("does not allow this runner");
  const { stdout } = await world.run(["audit", "--json", "-c", url]);
  expect(JSON.parse(stdout).map(({ action }: { action: string }) => action)).toEqual([
    "POST /tokens",
    "POST /tokens",
    "POST /tokens",
  ]);
});

test("tokens: the secret is shown once; a name, a role and a time are checked", async () => {
  await using world = new World();
  const { url } = await withRoles(world);
  const tokens = (...args: string[]) => world.run(["tokens", ...args, "-c", url]);
  const created = await tokens("create", "ci", "--role", "submit", "--expires", "30d", "--json");
  const { token } = JSON.parse(created.stdout);
  expect(token).toMatch(/^[\w-]{43}$/);
  const listed = await tokens("list", "--json");
  expect(JSON.parse(listed.stdout)).toEqual([
    { name: "ci", role: "submit", created_at: expect.any(String), created_by: "admin", expires_at: expect.any(String) },
  ]);
  expect((await tokens("create", "ci", "--role", "read")).stderr).toContain("There is a token with the name ci");
  for (const args of [
    ["create", "x"],
    ["create", "x", "--role", "root"],
    ["create", "a b", "--role", "read"],
    ["create", "admin", "--role", "read"],
    ["create", "x", "--role", "read", "--expires", "soon"],
    ["create", "x", "--role", "read", "--expires", "1ms"],
    ["revoke"],
    ["delete", "ci"],
  ])
    expect([args, (await tokens(...args)).code]).toEqual([args, 2]);
  expect((await tokens("revoke", "ci")).code).toBe(0);
  expect((await tokens("revoke", "ci")).stderr).toContain("There is no token with the name ci");
  expect((await tokens()).stdout.trim()).toBe("TOKEN  ROLE  CREATED  CREATED BY  EXPIRES");
});
