import { expect, setDefaultTimeout, test } from "bun:test";
import { createConnection, type Socket } from "node:net";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const LEVELS = 100_000;
const TOKEN = "0123456789abcdef";
const DEEP = [
  "[".repeat(LEVELS),
  "[".repeat(LEVELS) + "]".repeat(LEVELS),
  `${'{"a":'.repeat(LEVELS)}1${"}".repeat(LEVELS)}`,
  // Strings and escapes before the depth.
  `{"text":"\\\\\\"[[[","a":${"[".repeat(LEVELS)}${"]".repeat(LEVELS)}}`,
];

test("a body with 100,000 levels is a 422, at every route that takes a body", async () => {
  await using world = new World();
  // With a token: `POST /login` refuses every body otherwise.
  const coordinator = world.start(["coordinator", "--port", "0"], { env: { AGENT_COORDINATOR_TOKEN: TOKEN } });
  const [, url = ""] = await coordinator.line(/agent-runner -c (\S+)/);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const document = (await (await fetch(`${url}/openapi.json`, { headers })).json()) as {
    paths: Record<string, Record<string, { requestBody?: object }>>;
  };
  const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, { requestBody }]) => requestBody !== undefined)
      .map(([method]) => ({ method: method.toUpperCase(), path: path.replace(/\{\w+\}/g, "x") })),
  );
  expect(routes.length).toBeGreaterThan(10);
  for (const { method, path } of routes) {
    for (const body of DEEP) {
      const answer = await fetch(url + path, { method, headers, body, keepalive: false });
      const { detail } = (await answer.json()) as { detail: unknown };
      expect([method, path, answer.status, detail]).toEqual([
        method,
        path,
        422,
        "The body is nested too deeply: 256 levels are the limit",
      ]);
    }
  }
  const prompt = "[".repeat(LEVELS);
  const body = JSON.stringify({ type: "start_session", prompt });
  const run = await fetch(`${url}/runs`, { method: "POST", headers, body, keepalive: false });
  expect(run.status).toBe(200);
});

test("an MCP message with 100,000 levels is a 422", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "test-executor", ["--mcp-port", "0"], {
    AGENT_RUNNER_MCP_TOKEN: TOKEN,
  });
  const [, url = ""] = await runner.line(/(http:\/\/127\.0\.0\.1:\d+\/mcp)/);
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  for (const body of DEEP) {
    const answer = await fetch(url, { method: "POST", headers, body, keepalive: false });
    expect([answer.status, await answer.text()]).toEqual([422, expect.stringContaining("nested too deeply")]);
  }
});

const HEAD = "HTTP/1.1\r\nHost: 127.0.0.1\r\n";
const LEAVING: [string, string][] = [
  ["in the middle of an upload", `POST /runs ${HEAD}Content-Length: 100000\r\n\r\n{"a":`],
  ["in the middle of a large upload", `POST /runs ${HEAD}Content-Length: 9000000\r\n\r\n${"x".repeat(1_000_000)}`],
  ["in the middle of a chunked upload", `POST /runs ${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n`],
  ["with a chunk that is none", `POST /runs ${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
  ["in the middle of the head", `GET /runs ${HEAD}X-Half: `],
  ["during an event stream", `GET /sse/sessions ${HEAD}\r\n`],
  ["during a list", `GET /runs ${HEAD}\r\n`],
  ["during a long poll", `GET /runner/runs?runner_id=RUNNER ${HEAD}\r\n`],
];

async function connected(port: number): Promise<Socket> {
  const socket = createConnection({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

test.each(LEAVING)("a client that leaves %s is no error in the log", async (_, request) => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  const port = Number(new URL(api.url).port);
  const body = JSON.stringify({ hostname: "h", project_dir: "/x", executor_type: "e" });
  const registered = await fetch(`${api.url}/runner/register`, { method: "POST", body, keepalive: false });
  const { runner_id } = (await registered.json()) as { runner_id: string };
  for (let i = 0; i < 30; i++) await api.submit("x".repeat(50_000));
  for (const leave of ["end", "resetAndDestroy", "destroy"] as const) {
    const socket = await connected(port);
    socket.write(request.replace("RUNNER", runner_id));
    // The coordinator has read the request when it has answered a later one.
    for (let i = 0; i < 3; i++) expect((await fetch(`${api.url}/health`, { keepalive: false })).status).toBe(200);
    socket[leave]();
    for (let i = 0; i < 5; i++) expect((await fetch(`${api.url}/health`, { keepalive: false })).status).toBe(200);
    socket.destroy();
  }
  process.signal("SIGINT");
  await process.exited;
  expect(process.stdout() + process.stderr()).not.toMatch(/ERROR|Unexpected/);
});
