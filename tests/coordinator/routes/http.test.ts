import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startCoordinator } from "../../../src/coordinator/coordinator.ts";
import { MAX_BODY_BYTES, MAX_PROMPT_BYTES } from "../../../src/protocol/run.ts";
import { silentLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { Fixture } from "../fixture.ts";

/** A chunked body, which has no Content-Length. */
function inChunks(text: string, size = 65_536): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(at, (at += size)));
    },
  });
}

describe("HTTP", () => {
  test("GET /health is healthy", async () => {
    await using c = await Fixture.start();
    expect(await c.get("/health")).toEqual({ status: 200, body: { status: "healthy" } });
  });

  test("an unknown path is 404, a wrong method 405, a bad escape 400", async () => {
    await using c = await Fixture.start();
    expect(await c.get("/nothing")).toEqual({ status: 404, body: { detail: "Not Found" } });
    expect(await c.call("PUT", "/runs")).toEqual({ status: 405, body: { detail: "Method Not Allowed" } });
    expect((await c.get("/sessions/%zz")).status).toBe(400);
  });

  test("a body that is not JSON is 400", async () => {
    await using c = await Fixture.start();
    for (const body of ["", "{", "prompt=x"]) {
      expect((await fetch(`${c.coordinator.url}/runs`, { method: "POST", body })).status).toBe(400);
    }
  });

  test("a body of the wrong form is 422 with the faults and without the input", async () => {
    await using c = await Fixture.start();
    const answer = await c.post("/runs", { type: "secret-type", prompt: ["secret"], session_id: "secret id" });
    expect(answer.status).toBe(422);
    expect(answer.body.detail.map((fault: { loc: unknown }) => fault.loc)).toEqual([
      ["body", "type"],
      ["body", "prompt"],
      ["body", "session_id"],
    ]);
    expect(JSON.stringify(answer.body)).not.toContain("secret");
    expect((await c.post("/runs", { type: "start_session" })).body.detail).toEqual([
      { type: "missing", loc: ["body", "prompt"], msg: "Field required" },
    ]);
    expect((await c.post("/runs", [])).status).toBe(422);
  });

  test("a body above 50 MiB is 413, with or without Content-Length; a body just below is accepted", async () => {
    await using c = await Fixture.start();
    const post = (body: BodyInit): Promise<Response> => fetch(`${c.coordinator.url}/runs`, { method: "POST", body });
    const big = "x".repeat(MAX_BODY_BYTES + 1);
    const withLength = await post(big);
    expect([withLength.status, typeof ((await withLength.json()) as { detail: unknown }).detail]).toEqual([
      413,
      "string",
    ]);
    expect((await post(inChunks(big))).status).toBe(413);
    const padded = `${" ".repeat(MAX_BODY_BYTES - 100)}${JSON.stringify({ type: "start_session", prompt: "x" })}`;
    expect((await post(padded)).status).toBe(200);
    expect((await c.get("/health")).status).toBe(200);
  });

  test.each(["x", "\u0001", "ü"])(
    "a prompt of 8 MiB of %j is accepted; a longer one is 422 with the limit",
    async (one) => {
      await using c = await Fixture.start();
      const prompt = one.repeat(MAX_PROMPT_BYTES / Buffer.byteLength(one));
      expect((await c.post("/runs", { type: "start_session", prompt })).status).toBe(200);
      const refused = await c.post("/runs", { type: "start_session", prompt: `${prompt}x` });
      expect(refused.status).toBe(422);
      expect(refused.body.detail[0].msg).toContain("8388608 (8 MiB) is the limit");
    },
  );

  test("a chunked body is accepted", async () => {
    await using c = await Fixture.start();
    const body = inChunks(JSON.stringify({ type: "start_session", prompt: "grüße" }), 3);
    const answer = await fetch(`${c.coordinator.url}/runs`, { method: "POST", body });
    expect(answer.status).toBe(200);
    expect((await c.get("/runs")).body.runs[0].prompt).toBe("grüße");
  });
});

describe("without a token", () => {
  const statusWith = async (headers: Record<string, string>): Promise<number> => {
    await using c = await Fixture.start();
    return (await c.call("GET", "/runs", undefined, { headers })).status;
  };
  for (const origin of ["https://evil.example", "http://localhost.evil.example", "null", "http://localhost:5173"]) {
    test(`a page of origin ${origin} is refused`, async () => expect(await statusWith({ origin })).toBe(403));
  }
  test("the coordinator's own page is served", async () => {
    const own = { host: "127.0.0.1:8765", origin: "http://127.0.0.1:8765", "sec-fetch-site": "same-origin" };
    expect(await statusWith(own)).toBe(200);
    expect(await statusWith({ ...own, origin: "http://127.0.0.1:8766" })).toBe(403);
  });
  for (const site of ["same-site", "cross-site", "new-kind"]) {
    test(`Sec-Fetch-Site: ${site} is refused`, async () =>
      expect(await statusWith({ "sec-fetch-site": site })).toBe(403));
  }
  for (const host of ["evil.example", "evil.example:8765", "localhost.evil.example"]) {
    test(`the Host ${host} is refused`, async () => expect(await statusWith({ host })).toBe(403));
  }
  for (const host of ["localhost:8765", "127.0.0.1", "[::1]:8765", "192.168.0.1:1"]) {
    test(`the Host ${host} is served`, async () => expect(await statusWith({ host })).toBe(200));
  }

  test("a page of an allowed origin may read answers and send a preflight, and no other", async () => {
    await using c = await Fixture.start();
    await c.restart({ allowedOrigins: ["http://localhost:5173"], allowedHosts: ["runs.example"] });
    const headers = { origin: "http://localhost:5173", "sec-fetch-site": "same-site" };
    const hosts = ["runs.example", "runs.example:8765", "Runs.Example", "evil.example"];
    const statuses = hosts.map(async (host) => (await c.call("GET", "/runs", undefined, { headers: { host } })).status);
    expect(await Promise.all(statuses)).toEqual([200, 200, 200, 403]);
    const other = await fetch(`${c.coordinator.url}/runs`, {
      method: "OPTIONS",
      headers: { origin: "http://localhost:1" },
    });
    expect([other.status, other.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    const read = await fetch(`${c.coordinator.url}/runs/none`, { headers });
    expect(read.headers.get("access-control-allow-origin")).toBe("http://localhost:5173");
    const preflight = await fetch(`${c.coordinator.url}/runs`, { method: "OPTIONS", headers });
    expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([
      204,
      "GET, POST, PATCH, DELETE",
    ]);
  });

  test("an empty token is refused", async () => {
    using folder = tempFolder();
    const options = { host: "127.0.0.1", port: 0, databasePath: join(folder.path, "c.db"), log: silentLog, token: "" };
    await expect(startCoordinator(options)).rejects.toMatchObject({ name: "UserError" });
  });

  test("an address that other machines can reach is refused", async () => {
    using folder = tempFolder();
    const options = { host: "0.0.0.0", port: 0, databasePath: join(folder.path, "c.db"), log: silentLog };
    await expect(startCoordinator(options)).rejects.toMatchObject({
      name: "UserError",
      hint: expect.stringContaining("token"),
    });
  });
});

const TOKEN = "s3cret-9f2a7c1e5b";

describe("with a token", () => {
  test("every endpoint but /health needs it", async () => {
    using folder = tempFolder();
    const options = {
      host: "0.0.0.0",
      port: 0,
      databasePath: join(folder.path, "c.db"),
      log: silentLog,
      token: TOKEN,
    };
    await using coordinator = await startCoordinator(options);
    const statusOf = async (path: string, authorization?: string): Promise<number> =>
      (await fetch(coordinator.url + path, authorization === undefined ? {} : { headers: { authorization } })).status;
    expect(await statusOf("/health")).toBe(200);
    for (const path of [
      "/runs",
      "/sessions",
      "/agents",
      "/runners",
      "/runner/runs?runner_id=x",
      "/sse/sessions",
      "/nothing",
    ]) {
      expect(await statusOf(path)).toBe(401);
    }
    for (const wrong of ["Bearer", "Bearer ", "Bearer wrong", `Basic ${TOKEN}`, TOKEN])
      expect(await statusOf("/runs", wrong)).toBe(401);
    expect(await statusOf("/runs", `Bearer ${TOKEN}`)).toBe(200);
    expect(await statusOf("/runs", `bearer ${TOKEN}`)).toBe(200);
    // A browser's EventSource sends no headers.
    expect(await statusOf(`/runs?api_key=${TOKEN}`)).toBe(401);
    expect(await statusOf("/sse/sessions?api_key=wrong")).toBe(401);
    const stream = await fetch(`${coordinator.url}/sse/sessions?api_key=${TOKEN}`);
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
    const refused = await fetch(`${coordinator.url}/runs`);
    expect(await refused.json()).toEqual({ detail: expect.any(String) });
  });

  test.each(["short", "aaaaaaaaaaaaaaaaaaaaaaa", "changeme-changeme-1234", "0123456789abcdef", "secret_token_secret"])(
    "the weak token %s is refused on an address that others reach, and not on loopback",
    async (token) => {
      using folder = tempFolder();
      const options = { port: 0, databasePath: join(folder.path, "c.db"), log: silentLog, token };
      await expect(startCoordinator({ ...options, host: "0.0.0.0" })).rejects.toMatchObject({
        message: expect.stringContaining("too weak"),
      });
      await using _ = await startCoordinator({ ...options, host: "127.0.0.1" });
    },
  );
});
