import { expect, test } from "bun:test";
import { credentialsIn, mcpServersOf } from "../../../executors/claude-code/mcp-servers.ts";

const env = { API_TOKEN: "t0ken", HOME: "/home/me" };

test("mcpServersOf: the forms of both generations, with tools loaded in the first turn", () => {
  const servers = mcpServersOf(
    {
      first: { type: "http", url: "http://127.0.0.1:1/mcp", headers: { "X-Agent-Session-Id": "ses_1" }, args: [] },
      second: { url: "http://127.0.0.1:1/mcp", config: { "X-Agent-Session-Id": "ses_1" } },
      old: { type: "sse", url: "http://127.0.0.1:1/sse" },
      local: { type: "stdio", command: "serve", args: ["--fast"], env: { A: "b" } },
      bare: { command: "serve" },
    },
    env,
  );
  expect(servers).toEqual({
    first: {
      type: "http",
      url: "http://127.0.0.1:1/mcp",
      headers: { "X-Agent-Session-Id": "ses_1" },
      alwaysLoad: true,
    },
    second: {
      type: "http",
      url: "http://127.0.0.1:1/mcp",
      headers: { "X-Agent-Session-Id": "ses_1" },
      alwaysLoad: true,
    },
    old: { type: "sse", url: "http://127.0.0.1:1/sse", headers: {}, alwaysLoad: true },
    local: { type: "stdio", command: "serve", args: ["--fast"], env: { A: "b" }, alwaysLoad: true },
    bare: { type: "stdio", command: "serve", args: [], env: {}, alwaysLoad: true },
  });
});

test("mcpServersOf: variables in headers and env, timeout and alwaysLoad", () => {
  const servers = mcpServersOf(
    {
      a: {
        url: "http://x/${HOME}",
        headers: { Authorization: "Bearer ${API_TOKEN}", B: "${UNKNOWN} $HOME" },
        timeout: 5000,
        alwaysLoad: false,
      },
      b: { command: "${HOME}/x", env: { TOKEN: "${API_TOKEN}" } },
    },
    env,
  );
  expect(servers["a"]).toEqual({
    type: "http",
    url: "http://x/${HOME}",
    headers: { Authorization: "Bearer t0ken", B: "${UNKNOWN} $HOME" },
    timeout: 5000,
    alwaysLoad: false,
  });
  expect(servers["b"]).toMatchObject({ command: "${HOME}/x", env: { TOKEN: "t0ken" } });
  expect(credentialsIn(servers)).toEqual(["Bearer t0ken", "${UNKNOWN} $HOME", "t0ken"]);
});

test("credentialsIn: the password of a URL and the secrets of its query, written and decoded", () => {
  const url = "https://me:pass%2Dword@host/mcp?api_key=secret%2B99&project=agent-runner&token=#x";
  expect(credentialsIn(mcpServersOf({ a: { url } }, env)).filter(Boolean)).toEqual([
    "pass%2Dword",
    "pass-word",
    "secret%2B99",
    "secret+99",
  ]);
  expect(credentialsIn(mcpServersOf({ a: { url: "no url" } }, env))).toEqual([]);
});

test("mcpServersOf: no servers, and an invalid server", () => {
  expect(mcpServersOf(null, env)).toEqual({});
  expect(() => mcpServersOf({ odd: { type: "http", headers: {} } }, env)).toThrow(
    /^the blueprint's MCP server odd is invalid: .*; a server needs a url or a command$/,
  );
  expect(() => mcpServersOf({ odd: { type: "ws", url: "ws://x" } }, env)).toThrow(
    "the blueprint's MCP server odd is invalid: type",
  );
});
