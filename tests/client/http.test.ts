import { expect, test } from "bun:test";
import { join } from "node:path";
import * as v from "valibot";
import type { Authorization } from "../../src/client/credentials.ts";
import { noAuthorization, staticToken } from "../harness/authorization.ts";
import { CoordinatorFailure } from "../../src/client/failure.ts";
import { type Call, callCoordinator } from "../../src/client/http.ts";
import { rawServer, stubServer } from "./stub-server.ts";

const Answer = v.object({ a: v.number() });

function get(
  url: string,
  options: Partial<Call<typeof Answer>> = {},
  authorization: Authorization = noAuthorization,
): Promise<{ a: number }> {
  return callCoordinator(url, authorization, { method: "GET", path: "/thing?secret=1", answer: Answer, ...options });
}

async function failureOf(call: Promise<unknown>): Promise<CoordinatorFailure> {
  try {
    await call;
  } catch (error) {
    if (error instanceof CoordinatorFailure) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

test.each([200, 201, 202])("callCoordinator: returns a valid answer of status %i", async (status) => {
  await using server = stubServer(() => Response.json({ a: 1 }, { status }));
  expect(await get(server.url)).toEqual({ a: 1 });
});

test("callCoordinator: sends method, path, body and credentials", async () => {
  await using server = stubServer(() => Response.json({ a: 1 }));
  await get(server.url, { method: "POST", path: "/x?y=1", body: { z: "ü" } }, staticToken("secret"));
  const [sent] = server.received;
  expect(sent).toMatchObject({ method: "POST", url: "/x?y=1", body: '{"z":"ü"}' });
  expect(sent?.headers.get("authorization")).toBe("Bearer secret");
  expect(sent?.headers.get("content-type")).toContain("application/json");
});

test("callCoordinator: sends a request again, once, that lacked a header which there is by now", async () => {
  await using server = stubServer(({ headers }) =>
    headers.get("authorization") === "Bearer found"
      ? Response.json({ a: 1 })
      : Response.json({ detail: "A bearer token is required" }, { status: 401 }),
  );
  const finding = (...found: (string | null)[]): Authorization => ({
    header: () => Promise.resolve(found.shift() ?? null),
    refused() {},
  });
  expect(await get(server.url, {}, finding(null, "Bearer found"))).toEqual({ a: 1 });
  expect(server.received).toHaveLength(2);
  expect(await failureOf(get(server.url, {}, finding(null, "Bearer of another", "Bearer found")))).toMatchObject({
    kind: "unregistered",
  });
  expect(await failureOf(get(server.url))).toMatchObject({ kind: "unregistered" });
  expect(server.received).toHaveLength(5);
});

test.each([
  [400, "refused"],
  [401, "unregistered"],
  [403, "unregistered"],
  [404, "refused"],
  [408, "unavailable"],
  [409, "refused"],
  [422, "refused"],
  [429, "unavailable"],
  [500, "unavailable"],
  [502, "unavailable"],
  [503, "unavailable"],
] as const)("callCoordinator: a %i is %s, with status and detail", async (status, kind) => {
  await using server = stubServer(() => Response.json({ detail: "so it is" }, { status }));
  const failure = await failureOf(get(server.url));
  expect(failure).toMatchObject({
    kind,
    status,
    isRetryable: kind === "unavailable",
    message: `GET /thing: so it is (${status})`,
  });
});

test("callCoordinator: sends one request, whatever the answer", async () => {
  await using server = stubServer(() => new Response("", { status: 503 }));
  await failureOf(get(server.url));
  expect(server.received).toHaveLength(1);
});

test.each([
  ["not JSON", "<html>"],
  ["another shape", '{"b":1}'],
  ["an empty body instead of an object", ""],
])("callCoordinator: a 200 with %s is unavailable", async (_, body) => {
  await using server = stubServer(() => new Response(body));
  expect(await failureOf(get(server.url))).toMatchObject({ kind: "unavailable", status: 200 });
});

test("callCoordinator: reports a refusal to the credentials", async () => {
  let refused = 0;
  const authorization = { header: () => Promise.resolve("Bearer old"), refused: () => void refused++ };
  await using server = stubServer(() => new Response("", { status: 401 }));
  await failureOf(get(server.url, {}, authorization));
  expect(refused).toBe(1);
});

test("callCoordinator: a port without a listener is unreachable: connection refused", async () => {
  const server = stubServer(() => new Response());
  await server[Symbol.asyncDispose]();
  expect(await failureOf(get(server.url))).toMatchObject({
    kind: "unreachable",
    status: null,
    message: "GET /thing: connection refused",
  });
});

test("callCoordinator: an unknown host name is unreachable", async () => {
  expect(await failureOf(get("http://no-such-host.invalid"))).toMatchObject({
    kind: "unreachable",
    message: "GET /thing: host name not found",
  });
});

test("callCoordinator: a connection that breaks before or in the answer is unreachable", async () => {
  using cut = rawServer((socket) => socket.terminate());
  expect(await failureOf(get(cut.url))).toMatchObject({ kind: "unreachable", message: "GET /thing: connection lost" });
  using truncated = rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a":');
    socket.end();
  });
  expect(await failureOf(get(truncated.url))).toMatchObject({
    kind: "unreachable",
    message: "GET /thing: connection lost",
  });
});

test("callCoordinator: the time limit covers the wait for the answer", async () => {
  await using server = stubServer(() => new Promise(() => {}));
  expect(await failureOf(get(server.url, { timeoutMs: 50 }))).toMatchObject({
    kind: "unreachable",
    message: "GET /thing: timed out",
  });
});

test("callCoordinator: the time limit covers the body too", async () => {
  const body = (): ReadableStream =>
    new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')) });
  await using server = stubServer(() => new Response(body()));
  expect(await failureOf(get(server.url, { timeoutMs: 50 }))).toMatchObject({
    kind: "unreachable",
    message: "GET /thing: timed out",
  });
});

test("callCoordinator: ends when its signal fires, and sends nothing after it fired", async () => {
  await using server = stubServer(() => new Promise(() => {}));
  const controller = new AbortController();
  const call = failureOf(get(server.url, { signal: controller.signal }));
  controller.abort();
  expect((await call).kind).toBe("unreachable");
  const before = server.received.length;
  expect((await failureOf(get(server.url, { signal: AbortSignal.abort() }))).kind).toBe("unreachable");
  expect(server.received.length).toBe(before);
});

test.each([301, 302, 303, 307, 308])(
  "callCoordinator: a %i is not followed, and says where the service is",
  async (status) => {
    await using other = stubServer(() => Response.json({ a: 1 }));
    const location = `${other.url}/base/thing?secret=1`;
    await using server = stubServer(() => new Response(null, { status, headers: { location } }));
    const failure = await failureOf(get(server.url, { method: "POST", body: { prompt: "p" } }, staticToken("secret")));
    expect(failure).toMatchObject({ kind: "moved", status, isRetryable: true });
    expect(failure.message).toContain(`has moved to ${other.url}/base (${status}): set --coordinator-url to that`);
    expect(other.received).toEqual([]);
  },
);

test("callCoordinator: a certificate that is not trusted is a failure of its own", async () => {
  const folder = join(import.meta.dir, "../fixtures/tls");
  const tls = { cert: Bun.file(join(folder, "cert.pem")), key: Bun.file(join(folder, "key.pem")) };
  await using server = Bun.serve({ hostname: "127.0.0.1", port: 0, tls, fetch: () => Response.json({ a: 1 }) });
  const failure = await failureOf(get(`https://127.0.0.1:${server.port}`));
  expect(failure.kind).toBe("untrusted");
  expect(failure.message).toContain("certificate");
});

test("callCoordinator: no message holds the token of a URL", async () => {
  const token = "UqhQymkLnLskefA1r3j9S7MdzjHU06H_";
  for (const base of [`http://127.0.0.1:1/${token}`, `http://nowhere.invalid/${token}`]) {
    expect((await failureOf(get(base))).message).not.toContain(token);
  }
  using broken = rawServer((socket) => void socket.end("nonsense\r\n\r\n"));
  expect((await failureOf(get(`${broken.url}/${token}`))).message).not.toContain(token);
});

test("callCoordinator: names a proxy in the way, without its password", async () => {
  const before = process.env["HTTP_PROXY"];
  process.env["HTTP_PROXY"] = "http://me:secret@127.0.0.1:1";
  try {
    const { message } = await failureOf(get("http://coordinator.invalid:8765"));
    expect(message).toContain("(through the proxy http://127.0.0.1:1 of HTTP_PROXY)");
    expect(message).not.toContain("secret");
  } finally {
    if (before === undefined) delete process.env["HTTP_PROXY"];
    else process.env["HTTP_PROXY"] = before;
  }
});
