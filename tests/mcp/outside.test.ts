import { expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { silentLog } from "../../src/log.ts";
import { listenOutside } from "../../src/mcp/outside-listener.ts";
import { outsideToken } from "../../src/mcp/outside-token.ts";
import { toolServer } from "../../src/mcp/serve-tools.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { ToolWorld } from "./tool-world.ts";

const TOKEN = "a-token-of-the-test";

async function world(): Promise<{ c: Fixture; w: ToolWorld; url: string } & AsyncDisposable> {
  const c = await Fixture.start({ pollTimeoutMs: 5_000 });
  const w = await ToolWorld.at(c.coordinator.url);
  const coordinator = new CoordinatorClient(c.coordinator.url, noAuthorization);
  const waits = (): Disposable => ({ [Symbol.dispose]() {} });
  const serveTools = toolServer({ coordinator, log: silentLog, draining: w.draining.signal, waits });
  const listener = listenOutside({ port: 0, token: TOKEN, serveTools, callerOf: (id) => w.gateway.outsideCaller(id) });
  return {
    c,
    w,
    url: listener.url,
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      await w[Symbol.asyncDispose]();
      await c[Symbol.asyncDispose]();
    },
  };
}

const bearer = (more: Record<string, string> = {}): Record<string, string> => ({
  authorization: `Bearer ${TOKEN}`,
  ...more,
});

test("outside: a missing or wrong token, a foreign Origin, another path and a bad session id are refused", async () => {
  await using t = await world();
  const statusOf = async (headers: Record<string, string>, url = t.url): Promise<number> =>
    (await fetch(url, { method: "POST", body: "{}", headers: { "content-type": "application/json", ...headers } }))
      .status;
  expect(await statusOf({})).toBe(401);
  expect(await statusOf({ authorization: "Bearer other" })).toBe(401);
  expect(await statusOf(bearer({ origin: "https://evil.example" }))).toBe(403);
  expect(await statusOf(bearer(), t.url.replace("/mcp", "/sessions"))).toBe(404);
  expect(await statusOf(bearer({ "x-agent-session-id": "a b" }))).toBe(400);
});

test("outside: without a session it starts new trees and reads everything; no callback, no deletion", async () => {
  await using t = await world();
  const agent = await t.w.agent(bearer(), t.url);
  const { value } = await agent.call("start_agent_session", { prompt: "x", mode: "async_poll" });
  expect((await t.c.get(`/runs/${value.run_id}`)).body.parent_session_id).toBeNull();
  const listed = JSON.parse((await agent.call("list_agent_sessions")).text) as { session_id: string }[];
  expect(listed.map(({ session_id }) => session_id)).toEqual([value.session_id, "root"]);
  for (const [tool, args] of [
    ["start_agent_session", { prompt: "x", mode: "async_callback" }],
    ["delete_all_agent_sessions", {}],
  ] as const) {
    expect(await agent.call(tool, args)).toMatchObject({
      isError: true,
      text: expect.stringContaining("X-Agent-Session-Id"),
    });
  }
});

test("outside: the named session is the parent of new sessions and limits the agent to its tree", async () => {
  await using t = await world();
  await t.c.start({ session_id: "foreign" });
  const agent = await t.w.agent(bearer({ "X-Agent-Session-Id": "root" }), t.url);
  const { value } = await agent.call("start_agent_session", { prompt: "x", mode: "async_callback" });
  expect(value.callback_to).toBe("root");
  expect((await t.c.get(`/runs/${value.run_id}`)).body.parent_session_id).toBe("root");
  expect(JSON.parse((await agent.call("list_agent_sessions")).text)).toMatchObject([{ session_id: value.session_id }]);
  expect((await agent.call("get_agent_session_status", { session_id: "foreign" })).isError).toBe(true);
  const nobody = await t.w.agent(bearer({ "X-Agent-Session-Id": "nobody" }), t.url);
  expect(await nobody.call("start_agent_session", { prompt: "x" })).toMatchObject({
    isError: true,
    text: expect.stringContaining("nobody"),
  });
});

test("outside: a port in use is an error", async () => {
  await using t = await world();
  const port = Number(new URL(t.url).port);
  const listen = (): unknown =>
    listenOutside({
      port,
      token: TOKEN,
      serveTools: () => Promise.reject(new Error("none")),
      callerOf: (id) => t.w.gateway.outsideCaller(id),
    });
  expect(listen).toThrow(`Port ${port} (--mcp-port) is in use`);
});

test("outsideToken: the configured token, else a token generated once in a private file", () => {
  using folder = tempFolder();
  expect(outsideToken("set-by-somebody", folder.path).value).toBe("set-by-somebody");
  const made = outsideToken(undefined, folder.path);
  expect(made.source).toBe(join(folder.path, "mcp-token"));
  expect(readFileSync(made.source, "utf8").trim()).toBe(made.value);
  expect(outsideToken(undefined, folder.path)).toEqual(made);
  chmodSync(made.source, 0o644);
  if (process.platform !== "win32")
    expect(() => outsideToken(undefined, folder.path)).toThrow("other users can open it (mode 0644)");
  chmodSync(made.source, 0o600);
  writeFileSync(made.source, "short\n");
  expect(() => outsideToken(undefined, folder.path)).toThrow("fewer than 16 characters");
});
