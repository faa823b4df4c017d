import { expect, test } from "bun:test";
import {
  bypassProxyForLoopback,
  inheritableEnvironment,
  noProxyWithLoopback,
  proxyOf,
  userFolders,
} from "../../src/config/environment.ts";

test("noProxyWithLoopback: merges both spellings and the loopback names, each once", () => {
  expect(noProxyWithLoopback({})).toBe("127.0.0.1,localhost,::1");
  expect(noProxyWithLoopback({ NO_PROXY: "a.example, localhost ,", no_proxy: "b.example" })).toBe(
    "a.example,localhost,b.example,127.0.0.1,::1",
  );
  expect(noProxyWithLoopback({ NO_PROXY: "", no_proxy: "b.example" })).toContain("b.example");
});

test("bypassProxyForLoopback: a loopback call bypasses the proxy", async () => {
  const names = ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] as const;
  const before = names.map((name) => [name, process.env[name]] as const);
  await using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("direct") });
  let proxied = 0;
  await using proxy = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => (proxied++, new Response("proxied")) });
  try {
    process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
    bypassProxyForLoopback();
    expect(await (await fetch(`http://127.0.0.1:${server.port}/`)).text()).toBe("direct");
    expect(proxied).toBe(0);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});

test("inheritableEnvironment: withholds the runner's credentials and control variables only", () => {
  const withheld = {
    AUTH0_DOMAIN: "d",
    AUTH0_RUNNER_CLIENT_ID: "i",
    AUTH0_RUNNER_CLIENT_SECRET: "s",
    AUTH0_AUDIENCE: "a",
    AUTH0_CLIENT_SECRET: "s",
    AUTH0_: "",
    AGENT_COORDINATOR_TOKEN: "t",
    BUN_OPTIONS: "--preload=x",
    BUN_BE_BUN: "1",
    BUN_INSPECT: "1",
  };
  const kept = { PATH: "/bin", HOME: "/home/me", ANTHROPIC_API_KEY: "key", EMPTY: "" };
  expect(inheritableEnvironment({ ...withheld, ...kept, UNSET: undefined })).toEqual(kept);
});

test("userFolders: XDG variables win over the folders in HOME", () => {
  expect(userFolders({ HOME: "/h" }, "linux")).toEqual({
    config: "/h/.config/agent-runner",
    data: "/h/.local/share/agent-runner",
    state: "/h/.local/state/agent-runner",
  });
  const xdg = { HOME: "/h", XDG_CONFIG_HOME: "/c", XDG_DATA_HOME: "/d", XDG_STATE_HOME: "/s" };
  expect(userFolders(xdg, "linux")).toEqual({
    config: "/c/agent-runner",
    data: "/d/agent-runner",
    state: "/s/agent-runner",
  });
});

test("userFolders: the application folders on Windows", () => {
  const folders = userFolders({ HOME: "/h", APPDATA: "/roaming", LOCALAPPDATA: "/local" }, "win32");
  expect(folders).toEqual({
    config: "/roaming/agent-runner",
    data: "/local/agent-runner/data",
    state: "/local/agent-runner/state",
  });
});

test('noProxyWithLoopback: "*" stays alone, in either spelling', () => {
  expect(noProxyWithLoopback({ NO_PROXY: "*" })).toBe("*");
  expect(noProxyWithLoopback({ NO_PROXY: "a.example", no_proxy: "b, *" })).toBe("*");
});

const PROXY = { HTTP_PROXY: "http://p:1", https_proxy: "http://q:2" };

test.each([
  ["http://host:8765", PROXY, "HTTP_PROXY"],
  ["https://host", PROXY, "https_proxy"],
  ["http://host", { ...PROXY, NO_PROXY: "*" }, null],
  ["http://a.example.org", { ...PROXY, NO_PROXY: "example.org" }, null],
  ["http://a.example.org", { ...PROXY, NO_PROXY: ".example.org" }, null],
  ["http://anexample.org", { ...PROXY, NO_PROXY: "example.org, " }, "HTTP_PROXY"],
  ["http://host:8765", { ...PROXY, NO_PROXY: "host:8765" }, null],
  ["http://[::1]:8765", { ...PROXY, no_proxy: "::1" }, null],
  ["http://host", {}, null],
])("proxyOf: %s with %j", (url, env, variable) => {
  expect(proxyOf(url, env)?.variable ?? null).toBe(variable);
});
