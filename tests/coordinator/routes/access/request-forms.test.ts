import { describe, expect, test } from "bun:test";
import { rawAnswer } from "../../../harness/raw-answer.ts";
import { Fixture } from "../../fixture.ts";

const ADMIN = "an-admin-token-of-the-test-0123456789";
const RUN = '{"type":"start_session","prompt":"x"}';

interface Tokens {
  readonly read: string;
  readonly submit: string;
}

const post = (path: string): string => `POST ${path} HTTP/1.1`;
const bearer = (token: string): string => `Authorization: Bearer ${token}`;

/** A request line and headers. Each tries to be more than its token may, or to pass without one. */
const FORMS: readonly [string, (tokens: Tokens) => readonly string[], string][] = [
  ["the token of another role", ({ read }) => [post("/runs"), bearer(read)], "403"],
  ["a trailing slash", ({ read }) => [post("/runs/"), bearer(read)], "403"],
  ["two slashes", ({ read }) => [post("//runs"), bearer(read)], "404"],
  ["another case", ({ read }) => [post("/RUNS"), bearer(read)], "404"],
  ["an escaped letter", ({ read }) => [post("/%72uns"), bearer(read)], "404"],
  ["a matrix parameter", ({ read }) => [post("/runs;a=b"), bearer(read)], "404"],
  ["dots", ({ read }) => [post("/caller/../runs"), bearer(read)], "403"],
  ["escaped dots", ({ read }) => [post("/caller/%2e%2E/runs"), bearer(read)], "403"],
  ["a whole URL", ({ read }) => [post("http://elsewhere/runs"), bearer(read)], "403"],
  ["two tokens, the lesser first", ({ read, submit }) => [post("/runs"), bearer(read), bearer(submit)], "401"],
  ["two tokens, the greater first", ({ read, submit }) => [post("/runs"), bearer(submit), bearer(read)], "401"],
  ["Basic", ({ submit }) => [post("/runs"), `Authorization: Basic ${submit}`], "401"],
  ["a cookie", ({ submit }) => [post("/runs"), `Cookie: token=${submit}; authorization=Bearer ${submit}`], "401"],
  ["the query", ({ submit }) => [post(`/runs?api_key=${submit}&access_token=${submit}`)], "401"],
  ["the stream's query on another path", ({ read }) => [`GET //sse/sessions?api_key=${read} HTTP/1.1`], "401"],
  ["the page's path", () => [post("/")], "401"],
  ["a path of the program's files", () => ["GET /$bunfs/root/agent-runner HTTP/1.1"], "401"],
  ["dots above the page", () => ["GET /..%2f..%2f HTTP/1.1"], "401"],
  ["HEAD", () => ["HEAD /runs HTTP/1.1"], "401"],
  ["HEAD on the poll", ({ read }) => ["HEAD /runner/runs?runner_id=x HTTP/1.1", bearer(read)], "403"],
  ["OPTIONS", () => ["OPTIONS /runs HTTP/1.1"], "401"],
  ["TRACE", () => ["TRACE /runs HTTP/1.1"], "401"],
  ["an upgrade", () => ["GET /sse/sessions HTTP/1.1", "Upgrade: websocket", "Sec-WebSocket-Version: 13"], "401"],
  ["two lengths", ({ submit }) => [post("/runs"), bearer(submit), "Content-Length: 4"], "400"],
];

describe("a request cannot get more rights by its form", () => {
  test("24 forms create no run", async () => {
    await using c = await Fixture.start();
    await c.restart({ token: ADMIN });
    const headers = { authorization: `Bearer ${ADMIN}` };
    const made = async (role: string): Promise<string> =>
      (await c.call("POST", "/tokens", { name: role, role }, { headers })).body.token;
    const tokens = { read: await made("read"), submit: await made("submit") };
    const port = Number(new URL(c.coordinator.url).port);
    for (const [name, form, expected] of FORMS) {
      const [line = "", ...more] = form(tokens);
      const length = `Content-Length: ${RUN.length}`;
      const head = [line, `Host: 127.0.0.1:${port}`, ...more, "Content-Type: application/json", length];
      const answer = await rawAnswer(port, `${head.join("\r\n")}\r\nConnection: close\r\n\r\n${RUN}`);
      expect({ name, status: answer.slice(9, 12) }).toEqual({ name, status: expected });
    }
    for (const override of ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
      expect((await c.call("GET", "/runs", undefined, { headers: { ...headers, [override]: "POST" } })).status).toBe(
        200,
      );
    expect((await c.call("GET", "/runs", undefined, { headers })).body.runs).toEqual([]);
  });

  test("without a token, no name of a web page is taken for this machine", async () => {
    await using c = await Fixture.start();
    const port = Number(new URL(c.coordinator.url).port);
    const statusOf = async (...lines: readonly string[]): Promise<string> =>
      (await rawAnswer(port, `${lines.join("\r\n")}\r\nConnection: close`)).slice(9, 12);
    const names = [
      "evil.com",
      "EVIL.com:8765",
      "localhost.evil.com",
      "localhost.",
      "127.0.0.1.evil.com",
      "127.0.0.1.nip.io",
    ];
    const forms = ["127.0.0.1@evil.com", "evil.com\\@127.0.0.1", "127.0.0.1 evil.com", "evil.com, 127.0.0.1", "", ":1"];
    for (const host of [...names, ...forms])
      expect({ host, status: await statusOf("GET /runs HTTP/1.1", `Host: ${host}`) }).toEqual({ host, status: "403" });
    for (const hosts of [
      ["evil.com", "127.0.0.1"],
      ["127.0.0.1", "evil.com"],
    ])
      expect(await statusOf("GET /runs HTTP/1.1", ...hosts.map((host) => `Host: ${host}`))).toBe("403");
    expect(await statusOf("GET http://127.0.0.1/runs HTTP/1.1", "Host: evil.com")).toBe("403");
    expect(await statusOf("GET /runs HTTP/1.1", "Host: evil.com", "X-Forwarded-Host: 127.0.0.1")).toBe("403");
    for (const host of ["127.0.0.1", "LOCALHOST:1", "[::1]:1"])
      expect(await statusOf("GET /runs HTTP/1.1", `Host: ${host}`)).toBe("200");
  });

  test("no answer may be kept by a browser, or taken for a script", async () => {
    await using c = await Fixture.start();
    for (const path of ["/runs", "/health", "/nothing", "/openapi.json"]) {
      const { headers } = await fetch(c.coordinator.url + path);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    }
  });
});
