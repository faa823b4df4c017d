import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { stubServer } from "../client/stub-server.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { BINARY } from "../harness/binary.ts";
import { rawAnswer } from "../harness/raw-answer.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** Adds an executor that runs `script`, and returns its path. */
async function executorOf(world: World, script: string): Promise<string> {
  const path = join(world.home, "executors", "own", "ao-own-exec");
  mkdirSync(join(world.home, "executors", "own"), { recursive: true });
  await Bun.write(path, `#!/bin/sh\ncat >/dev/null\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

test.each([301, 307])(
  "a %i ends submit and a starting runner with the new address, and nothing is sent there",
  async (status) => {
    await using world = new World();
    await using other = stubServer(() => Response.json({ status: "healthy" }));
    await using old = stubServer(
      ({ url }) => new Response(null, { status, headers: { location: `${other.url}${url}` } }),
    );
    const submitted = await world.run(["submit", "-c", old.url, "--wait", "a secret prompt"]);
    const runner = await world.run(["-c", old.url, "-x", "test-executor"]);
    for (const { code, stdout, stderr } of [submitted, runner]) {
      expect(code).not.toBe(0);
      expect(stdout + stderr).toContain(`has moved to ${other.url} (${status}): set --coordinator-url to that`);
    }
    expect(other.received).toEqual([]);
  },
);

test("a command inside a run prints no token, and names no token of the coordinator as the remedy", async () => {
  await using world = new World();
  const executor = await executorOf(
    world,
    `"${BINARY}" runs >out 2>&1; "${BINARY}" doctor >>out 2>&1; env >env; exit 0`,
  );
  const up = world.start(["up", "--no-token", "--port", "0", "-e", executor]);
  const [, url = ""] = await up.line(/Connecting to Agent Coordinator at (\S+)/);
  const api = new CoordinatorApi(url);
  const run = await api.submit("x");
  await api.reached(run.run_id, "completed");
  const [, token = ""] = /^AGENT_ORCHESTRATOR_API_URL=http:\/\/[^/]+\/(\S+)$/m.exec(await world.file("env")) ?? [];
  const out = await world.file("out");
  expect(token).toHaveLength(32);
  expect(out).toContain("/<token>");
  expect(out).not.toContain(token);
  expect(out).not.toContain("AGENT_COORDINATOR_TOKEN");
});

const TOKEN = "UqhQymkLnLskefA1r3j9S7MdzjHU06H_";
/** Written wrongly, or leading nowhere. */
const WITH_SECRETS = [
  `127.0.0.1:1/${TOKEN}`,
  "me:s3cret@host:1",
  "htp://me:s3cret@h/",
  "//me:s3cret@h",
  "http://me:s3cret@h/",
  "http://s3cret@h/",
  `http://127.0.0.1:99999/${TOKEN}`,
  `http://[::1/${TOKEN}`,
  `http://127.0.0.1:1/proxy/${TOKEN}/mcp`,
  "http://127.0.0.1:1/?token=s3cret#s3cret",
];

test.each(WITH_SECRETS)("no command and no start shows what is secret in %s", async (url) => {
  await using world = new World();
  const file = world.path("settings.toml");
  await Bun.write(file, `[coordinator]\nurl = ${JSON.stringify(url)}\n`);
  const env = { AGENT_ORCHESTRATOR_API_URL: url };
  for (const ended of [
    await world.run(["runs", "-c", url]),
    await world.run(["submit", "Hello"], { env }),
    await world.run(["runners", "--config", file]),
    await world.run(["doctor", "--json", "-x", "test-executor"], { env }),
    await world.run(["-x", "test-executor", "--external-mcp-url", url, "--max-offline", "1s"], { env }),
    await world.run(["-x", "test-executor", "--max-offline", "1s", "--log-format", "json"], { env }),
  ]) {
    expect(ended.code).not.toBe(0);
    expect(ended.stdout + ended.stderr).not.toMatch(new RegExp(`s3cret|${TOKEN}`));
  }
});

test("another program at the address is told as such by a command, and names no token as the remedy", async () => {
  await using world = new World();
  for (const [status, body] of [
    [200, "<html>Log in</html>"],
    [404, "<html>Not here</html>"],
    [405, ""],
  ] as const) {
    await using stranger = stubServer(() => new Response(body, { status }));
    for (const args of [["runs"], ["submit", "Hello"], ["doctor", "-x", "test-executor"]]) {
      const { code, stdout, stderr } = await world.run([...args, "-c", stranger.url]);
      expect([code, stdout + stderr]).toEqual([1, expect.stringContaining("is not an Agent Coordinator")]);
      expect(stdout + stderr).not.toContain("AGENT_COORDINATOR_TOKEN");
    }
  }
});

const LOOPBACK = "127.0.0.1,localhost,::1";
const NO_PROXIES: readonly [given: Readonly<Record<string, string>>, seen: string][] = [
  [{ NO_PROXY: " * " }, "*"],
  [{ no_proxy: "*", NO_PROXY: "a.example" }, "*"],
  [{ NO_PROXY: "a.example *" }, "*"],
  [{ NO_PROXY: "", no_proxy: "" }, LOOPBACK],
  [{ NO_PROXY: " .a.example b.example ,, 10.0.0.0/8 " }, `.a.example,b.example,10.0.0.0/8,${LOOPBACK}`],
  [{ NO_PROXY: "a.example", no_proxy: "b.example" }, `a.example,b.example,${LOOPBACK}`],
  [{ NO_PROXY: "[::1],::1,localhost" }, "[::1],::1,localhost,127.0.0.1"],
];

test.each(NO_PROXIES)("an executor of a runner with %j finds NO_PROXY=%s in both spellings", async (given, seen) => {
  await using world = new World();
  const executor = await executorOf(world, 'printf "%s %s" "$NO_PROXY" "$no_proxy" >seen');
  world.start(["up", "--no-token", "--port", "0", "-e", executor, "--sample"], {
    env: { ...given, HTTP_PROXY: "http://p.invalid:1", ALL_PROXY: "http://p.invalid:1" },
  });
  expect(await world.file("seen")).toBe(`${seen} ${seen}`);
});

const AT = "http://127.0.0.2:9";
const PROXIED: readonly [url: string, noProxy: Readonly<Record<string, string>>, variable: string, through: boolean][] =
  [
    [AT, {}, "HTTP_PROXY", true],
    [AT, {}, "http_proxy", true],
    [AT, {}, "ALL_PROXY", true],
    [AT, {}, "all_proxy", true],
    [AT, { NO_PROXY: "127.0.0.0/8" }, "HTTP_PROXY", false],
    [AT, { NO_PROXY: "x 127.0.0.2" }, "ALL_PROXY", false],
    [AT, { NO_PROXY: "127.0.0.2:9" }, "HTTP_PROXY", false],
    [AT, { NO_PROXY: "127.0.0.2:10" }, "HTTP_PROXY", true],
    ["http://c.invalid:9", { NO_PROXY: ".INVALID" }, "HTTP_PROXY", false],
    ["http://c.invalid:9", { NO_PROXY: "c.inv" }, "HTTP_PROXY", true],
  ];

test("a proxy is named where it answers or is away, without its password, and never where it is not used", async () => {
  await using world = new World();
  await using page = stubServer(() => new Response("<html>Blocked</html>", { status: 403 }));
  await using portal = stubServer(() => new Response("<html>Log in</html>"));
  for (const [url, noProxy, variable, isThrough] of PROXIED)
    for (const [proxy, answer] of [
      [page.url, /not JSON/],
      [portal.url, /not JSON/],
      ["http://127.0.0.1:1", /connection refused/],
    ] as const) {
      const host = proxy.replace("http://", "");
      for (const written of [`http://me:pass-word@${host}`, ...(variable === "HTTP_PROXY" ? [host] : [])]) {
        const { stderr } = await world.run(["runs", "-c", url], { env: { ...noProxy, [variable]: written } });
        const seen = { url, noProxy, written, named: /\(through the proxy (\S+) of (\w+)\)/.exec(stderr)?.slice(1) };
        expect(seen).toEqual({ url, noProxy, written, named: isThrough ? [proxy, variable] : undefined });
        if (isThrough) expect(stderr).toMatch(answer);
        expect(stderr).not.toContain("pass-word");
      }
    }
});

test('an executor gets NO_PROXY="*" unchanged', async () => {
  await using world = new World();
  const executor = await executorOf(world, 'printf "%s %s" "$NO_PROXY" "$no_proxy" >seen');
  world.start(["up", "--no-token", "--port", "0", "-e", executor, "--sample"], {
    env: { NO_PROXY: "*", HTTP_PROXY: "http://p.invalid:1" },
  });
  expect(await world.file("seen")).toBe("* *");
});

test("HTTP/1.0 without Host: coordinator and gateway answer, and log no error", async () => {
  await using world = new World();
  const executor = await executorOf(world, 'echo "$AGENT_ORCHESTRATOR_API_URL" >url; sleep 60');
  const up = world.start(["up", "--no-token", "--port", "0", "-e", executor, "--sample"]);
  const [, port = ""] = await up.line(/Connecting to Agent Coordinator at http:\S+:(\d+)/);
  expect(await rawAnswer(Number(port), "OPTIONS / HTTP/1.0")).toMatch(/^HTTP\/1\.[01] (404|405) /);
  expect(await rawAnswer(Number(port), "GET /health HTTP/1.0")).toContain('"healthy"');
  expect(await rawAnswer(Number(port), "GET / HTTP/1.0")).toMatch(/^HTTP\/1\.[01] 200 /);
  const gateway = new URL((await world.file("url")).trim());
  expect(await rawAnswer(Number(gateway.port), "OPTIONS / HTTP/1.0")).toMatch(/^HTTP\/1\.[01] 401 /);
  expect(await rawAnswer(Number(gateway.port), `GET ${gateway.pathname}/runs HTTP/1.0`)).toMatch(/^HTTP\/1\.[01] 200 /);
  expect(up.stdout()).not.toContain("ERROR");
});

test("a foreign Host is refused with the remedy, and served once its name is listed", async () => {
  await using world = new World();
  const status = async (url: string, host: string): Promise<number> => {
    const head = await rawAnswer(Number(new URL(url).port), `GET /runs HTTP/1.1\r\nHost: ${host}\r\nConnection: close`);
    return Number(/^HTTP\S+ (\d+)/.exec(head)?.[1]);
  };
  const { api } = await world.coordinator();
  expect(await status(api.url, "runner.corp")).toBe(403);
  const listed = await world.coordinator(0, [
    "--state-dir",
    join(world.home, "listed"),
    "--allowed-hosts",
    "runner.corp,other.corp",
  ]);
  for (const host of ["runner.corp", "RUNNER.corp:8765", "other.corp", "127.0.0.1"])
    expect([host, await status(listed.api.url, host)]).toEqual([host, 200]);
  for (const host of ["evil.corp", "runner.corp.evil", "my-runner.corp"])
    expect([host, await status(listed.api.url, host)]).toEqual([host, 403]);
  await using stranger = stubServer(() =>
    Response.json({ detail: "The Host header names neither this machine nor an address" }, { status: 403 }),
  );
  for (const args of [["runs"], ["-x", "test-executor"]]) {
    const { code, stderr } = await world.run([...args, "-c", stranger.url]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/--allowed-hosts 127\.0\.0\.1/);
    expect(stderr).not.toContain("token");
  }
});

test("a certificate that is not trusted, or for another name, is told as such, with what helps", async () => {
  await using world = new World();
  const folder = join(import.meta.dir, "../fixtures/tls");
  const tls = { cert: Bun.file(join(folder, "cert.pem")), key: Bun.file(join(folder, "key.pem")) };
  const fetch = (): Response => Response.json({ status: "healthy", runs: [] });
  await using server = Bun.serve({ hostname: "127.0.0.1", port: 0, tls, fetch });
  const at = (host: string, env: Record<string, string> = {}): ReturnType<World["run"]> =>
    world.run(["runs", "-c", `https://${host}:${server.port}`], { env });
  const trusted = { NODE_EXTRA_CA_CERTS: join(folder, "cert.pem") };
  const stranger = await at("127.0.0.1");
  expect(stranger.stderr).toMatch(/cannot be trusted: .*certificate is self-signed\n.*Set NODE_EXTRA_CA_CERTS/);
  const runner = await world.run(["-c", `https://127.0.0.1:${server.port}`, "-x", "test-executor"]);
  expect(runner.stderr).toMatch(/cannot be trusted: .*self-signed\n.*Set NODE_EXTRA_CA_CERTS/);
  expect((await at("127.0.0.1", trusted)).code).toBe(0);
  const other = await at("localhost", trusted);
  expect(other.stderr).toMatch(/is for another host name\n.*Set --coordinator-url to a host name of the certificate/);
});
