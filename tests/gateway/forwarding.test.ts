import { expect, test } from "bun:test";
import { connect } from "node:net";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { gatewayFixture, type GatewayFixture } from "./gateway-fixture.ts";

/** Writes the request to a socket, because HTTP clients normalize the path. Resolves to the status. */
function rawRequest(
  { gateway }: GatewayFixture,
  method: string,
  target: string,
  headers: readonly string[] = [],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, "127.0.0.1", () => {
      socket.write([`${method} ${target} HTTP/1.1`, "Host: x", "Connection: close", ...headers, "", ""].join("\r\n"));
    });
    let text = "";
    socket.on("data", (data) => (text += data.toString()));
    socket.on("error", reject);
    socket.on("end", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
  });
}

test.each([
  "/sessions/../runner/runs",
  "/sessions/%2e%2e/runner/runs",
  "/sessions/.%2E/runner/runs",
  "/sessions/own/..%2frunner/runs",
  "/sessions/own%2f..%2f..%2frunner%2fruns",
  "/sessions/own/%2e%2e/%2e%2e/runner/runs",
  "/sessions/own%2Fstatus",
  "/sessions/own%5c..%5cforeign",
  "/sessions/own%252f..%252fforeign",
  "//runner/runs",
  "/sessions//own",
  "//sessions/own",
  "/sessions/own//events",
  "/./runner/runs",
  "/sessions/%",
  "/sessions/%ff",
  "/agents/..%2frunner%2fruns",
  "/agents/..%5crunner%5cruns",
  "/agents//",
  "/%72unner/runs",
  "/runner%2fruns",
  "/sessions/own;/../foreign",
])("gateway: refuses the path %s", async (path) => {
  await using fixture = gatewayFixture();
  const status = await rawRequest(fixture, "GET", `/${fixture.grant.token}${path}`);
  expect([400, 401, 403]).toContain(status);
  expect(fixture.forwarded()).toEqual([]);
});

test("gateway: forwards a session id with special characters unchanged", async () => {
  await using fixture = gatewayFixture();
  const grant = fixture.gateway.grant("run_x", "grüße & co%");
  const response = await fetch(`${fixture.gateway.urlOf(grant)}/sessions/${encodeURIComponent("grüße & co%")}/status`);
  expect(response.status).toBe(200);
  expect(fixture.forwarded().map(({ url }) => url)).toEqual([`/sessions/${encodeURIComponent("grüße & co%")}/status`]);
});

test("gateway: a missing, wrong or revoked token is 401", async () => {
  await using fixture = gatewayFixture();
  const { gateway, grant } = fixture;
  for (const path of ["/sessions/own", "/", `/${grant.token}x/sessions/own`]) {
    expect((await fetch(`http://127.0.0.1:${gateway.port}${path}`)).status).toBe(401);
  }
  gateway.revoke(grant);
  expect(await fixture.call("GET", "/sessions/own")).toMatchObject({
    status: 401,
    body: { detail: expect.any(String) },
  });
  expect(fixture.coordinator.received).toEqual([]);
});

test("gateway: each run has its own token", async () => {
  await using fixture = gatewayFixture();
  const other = fixture.gateway.grant("run_foreign", "foreign");
  expect(other.token).not.toBe(fixture.grant.token);
  expect((await fetch(`${fixture.gateway.urlOf(other)}/sessions/own`)).status).toBe(403);
  expect((await fetch(`${fixture.gateway.urlOf(other)}/sessions/foreign`)).status).toBe(200);
});

test("gateway: forwards no hop-by-hop headers, no headers named in Connection, and not the credentials", async () => {
  await using fixture = gatewayFixture();
  await rawRequest(fixture, "GET", `/${fixture.grant.token}/sessions/own/status`, [
    "Connection: x-private",
    "X-Private: 1",
    "X-Public: 1",
    "Authorization: Bearer of-the-executor",
    "Cookie: a=b",
    "TE: trailers",
    "Proxy-Authorization: Basic x",
    "Keep-Alive: timeout=5",
    "Last-Event-ID: 7",
  ]);
  const headers = fixture.forwarded()[0]?.headers;
  expect(["x-private", "cookie", "te", "proxy-authorization", "keep-alive"].map((name) => headers?.get(name))).toEqual(
    Array(5).fill(null),
  );
  expect(headers?.get("x-public")).toBe("1");
  expect(headers?.get("last-event-id")).toBe("7");
  expect(headers?.get("authorization")).toBe("Bearer runner-token");
  expect(headers?.get("host")).toBe(new URL(fixture.coordinator.url).host);
});

test("gateway: drops hop-by-hop headers of the coordinator", async () => {
  const headers = { "x-kept": "1", connection: "x-dropped", "x-dropped": "1", "proxy-authenticate": "x" };
  await using fixture = gatewayFixture({ answer: () => new Response("{}", { status: 201, headers }) });
  const response = await fetch(`${fixture.gateway.urlOf(fixture.grant)}/agents`);
  expect(response.status).toBe(201);
  expect(["x-kept", "x-dropped", "proxy-authenticate"].map((name) => response.headers.get(name))).toEqual([
    "1",
    null,
    null,
  ]);
});

test("gateway: decompresses a compressed answer and drops its content-encoding", async () => {
  const answer = (): Response =>
    new Response(Bun.gzipSync(Buffer.from('{"a":1}')), { headers: { "content-encoding": "gzip" } });
  await using fixture = gatewayFixture({ answer });
  expect((await fixture.call("GET", "/agents")).body).toEqual({ a: 1 });
});

test("gateway: streams bodies: the first chunk arrives before the last is sent", async () => {
  const rest = Promise.withResolvers<void>();
  const body = (): ReadableStream =>
    new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("first"));
        await rest.promise;
        controller.enqueue(new TextEncoder().encode("last"));
        controller.close();
      },
    });
  await using fixture = gatewayFixture({ answer: () => new Response(body()) });
  const response = await fetch(`${fixture.gateway.urlOf(fixture.grant)}/sse/sessions?session_id=own`);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("first");
  rest.resolve();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("last");
  expect((await reader.read()).done).toBe(true);
});

test("gateway: a caller that disconnects before the answer ends the request to the coordinator", async () => {
  const upstream = Promise.withResolvers<AbortSignal>();
  await using fixture = gatewayFixture({
    answer: (_, request) => {
      upstream.resolve(request.signal);
      return new Promise(() => {});
    },
  });
  const controller = new AbortController();
  const call = fetch(`${fixture.gateway.urlOf(fixture.grant)}/agents`, { signal: controller.signal }).catch(() => null);
  const signal = await upstream.promise;
  controller.abort();
  await until("the end of the request to the coordinator", () => signal.aborted);
  expect(await call).toBeNull();
});

test("gateway: a caller that disconnects during a stream ends the request to the coordinator", async () => {
  let isCancelled = false;
  const body = (): ReadableStream =>
    new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("first")),
      cancel: () => void (isCancelled = true),
    });
  await using fixture = gatewayFixture({ answer: () => new Response(body()) });
  const controller = new AbortController();
  const response = await fetch(`${fixture.gateway.urlOf(fixture.grant)}/sse/sessions?session_id=own`, {
    signal: controller.signal,
  });
  await (response.body as ReadableStream<Uint8Array>).getReader().read();
  controller.abort();
  await until("the end of the coordinator's stream", () => isCancelled);
});

test("gateway: completes a write whose sender has disconnected", async () => {
  const arrived = Promise.withResolvers<AbortSignal>();
  const go = Promise.withResolvers<void>();
  await using fixture = gatewayFixture({
    answer: async (_, request) => {
      arrived.resolve(request.signal);
      await go.promise;
      return Response.json({ ok: true });
    },
  });
  const event = { event_type: "session_stop", session_id: "own" };
  const controller = new AbortController();
  const init = { method: "POST", body: JSON.stringify(event), signal: controller.signal };
  const call = fetch(`${fixture.gateway.urlOf(fixture.grant)}/sessions/own/events`, init).catch(() => null);
  const signal = await arrived.promise;
  controller.abort();
  await call;
  fixture.gateway.revoke(fixture.grant);
  const settled = fixture.grant.settled();
  go.resolve();
  await settled;
  expect(signal.aborted).toBe(false);
  expect(fixture.grant.activity.sessionStopSent).toBe(true);
});

test("gateway: open streams of many runs do not block the runner's own calls", async () => {
  const body = (): ReadableStream =>
    new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(": hello\n\n")) });
  await using fixture = gatewayFixture({
    answer: ({ url }) => (url.startsWith("/sse/") ? new Response(body()) : undefined),
  });
  const { gateway, coordinator } = fixture;
  const urls = Array.from({ length: 6 }, (_, i) => gateway.urlOf(gateway.grant(`run_${i}`, "own")));
  const script = `
    const urls = ${JSON.stringify(urls)};
    for (let i = 0; i < 300; i++) fetch(urls[i % 6] + "/sse/sessions?session_id=own").catch(() => {});`;
  await using client = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "400" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  await until("the maximum number of streams", () => coordinator.received.length >= 200);
  for (let i = 0; i < 50; i++) {
    const response = await fetch(`${coordinator.url}/agents`, { signal: AbortSignal.timeout(AT_ONCE_MS) });
    expect(response.status).toBe(200);
  }
  client.kill("SIGKILL");
  await client.exited;
});

test("gateway: open streams of one run do not block other runs, and end with their run", async () => {
  const cancelled: string[] = [];
  const body = (url: string): ReadableStream =>
    new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(": hello\n\n")),
      cancel: () => void cancelled.push(url),
    });
  await using fixture = gatewayFixture({
    answer: ({ url }) => (url.startsWith("/sse/") ? new Response(body(url)) : undefined),
  });
  const { gateway, grant, coordinator } = fixture;
  const greedy = gateway.grant("run_greedy", "own");
  const streams = Array.from({ length: 60 }, () =>
    fetch(`${gateway.urlOf(greedy)}/sse/sessions?session_id=own`).catch(() => null),
  );
  await until(
    "the run's maximum number of streams",
    () => coordinator.received.filter(({ url }) => url.startsWith("/sse/")).length === 50,
  );
  expect((await fetch(`${gateway.urlOf(grant)}/agents`)).status).toBe(200);
  gateway.revoke(greedy);
  await until("the streams end", () => cancelled.length === 50);
  await fixture[Symbol.asyncDispose]();
  await Promise.all(streams);
});

test("gateway: an unreachable coordinator is a 502 with the reason", async () => {
  await using fixture = gatewayFixture();
  await fixture.coordinator[Symbol.asyncDispose]();
  const answer = {
    status: 502,
    body: { detail: "Failed to connect to Agent Coordinator: coordinator: connection refused" },
  };
  expect(await fixture.call("GET", "/agents")).toEqual(answer);
  expect(await fixture.call("POST", "/sessions/own/events", { event_type: "x", session_id: "own" })).toEqual(answer);
  expect((await fixture.call("GET", "/sessions/child")).status).toBe(502);
});

test("gateway: passes on refusals of the coordinator; 401 refreshes the credentials", async () => {
  let refused = 0;
  const authorization = { header: () => Promise.resolve("Bearer old"), refused: () => void refused++ };
  await using fixture = gatewayFixture({
    authorization,
    answer: () => Response.json({ detail: "expired" }, { status: 401 }),
  });
  expect(await fixture.call("GET", "/agents")).toEqual({ status: 401, body: { detail: "expired" } });
  expect(refused).toBe(1);
});

test.each([
  ["of its own run", {}, "aa"],
  ["of the request, if the executor sends one", { traceparent: `00-${"bb".repeat(16)}-${"1".repeat(16)}-01` }, "bb"],
])("gateway: a new run belongs to the trace %s", async (_, headers, id) => {
  await using fixture = gatewayFixture();
  fixture.grant.trace = { traceparent: `00-${"aa".repeat(16)}-${"1".repeat(16)}-01`, tracestate: "vendor=1" };
  await fixture.call("POST", "/runs", { type: "start_session", prompt: "p" }, headers);
  const created = fixture.forwarded().find(({ method }) => method === "POST");
  expect(created?.headers.get("traceparent")).toBe(`00-${id.repeat(16)}-${"1".repeat(16)}-01`);
  expect(created?.headers.get("tracestate")).toBe(id === "aa" ? "vendor=1" : null);
});

test.each([
  ["POST", "/sessions/child/stop"],
  ["DELETE", "/sessions/child"],
  ["PATCH", "/sessions/own/metadata"],
])(
  "gateway: %s %s counts only with a coordinator's answer: a web page with status 200 is 502, a refusal is passed on",
  async (method, path) => {
    let status = 200;
    await using fixture = gatewayFixture({
      answer: (received) => (received.method === method ? new Response("<html>", { status }) : undefined),
    });
    expect((await fixture.call(method, path, {})).status).toBe(502);
    status = 409;
    expect(await fixture.call(method, path, {})).toEqual({ status: 409, body: "<html>" });
  },
);
