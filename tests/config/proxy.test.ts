import { expect, test } from "bun:test";
import { bypassProxyForLoopback, noProxyWithLoopback, proxyOf } from "../../src/config/proxy.ts";

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
  ["http://host", { ALL_PROXY: "http://p:1" }, "ALL_PROXY"],
  ["https://host", { all_proxy: "http://p:1", HTTP_PROXY: "http://q:1" }, "all_proxy"],
  ["http://host", { all_proxy: "http://p:1", HTTP_PROXY: "http://q:1" }, "HTTP_PROXY"],
  ["http://host", { HTTP_PROXY: "http://p:1", http_proxy: "" }, "HTTP_PROXY"],
  ["http://a.example.org", { ...PROXY, NO_PROXY: "b EXAMPLE.org c" }, null],
  ["http://10.1.2.3", { ...PROXY, NO_PROXY: "10.0.0.0/8" }, null],
  ["http://11.1.2.3", { ...PROXY, NO_PROXY: "10.0.0.0/8,11.0.0.0/99,x/8,11.1.2.3/" }, null],
  ["http://11.1.2.3", { ...PROXY, NO_PROXY: "10.0.0.0/8,11.0.0.0/99,x/8,/" }, "HTTP_PROXY"],
  ["http://[fd12::1]", { ...PROXY, NO_PROXY: "fd00::/8" }, null],
  ["http://[::1]:8765", { ...PROXY, no_proxy: "[::1]:8765" }, null],
  ["http://[::1]:8765", { ...PROXY, no_proxy: "[::1]:1,[::2]" }, "HTTP_PROXY"],
  ["http://[::1]:8765", { ...PROXY, no_proxy: "0:0:0:0:0:0:0:1" }, null],
  ["http://host", { ...PROXY, NO_PROXY: "host", no_proxy: "other" }, "HTTP_PROXY"],
  ["http://host", { ...PROXY, NO_PROXY: "host", no_proxy: "" }, null],
])("proxyOf: %s with %j", (url, env, variable) => {
  expect(proxyOf(url, env)?.variable ?? null).toBe(variable);
});
