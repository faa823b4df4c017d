import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const request = (c: Fixture, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(c.coordinator.url + path, { ...init, keepalive: false });

test("serves the page and its files, with headers that restrict the browser", async () => {
  await using c = await Fixture.start();
  const page = await request(c, "/");
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toMatch(/^text\/html/);
  expect(page.headers.get("cache-control")).toBe("no-cache");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  expect(page.headers.get("x-content-type-options")).toBe("nosniff");
  expect(page.headers.get("referrer-policy")).toBe("no-referrer");
  const html = await page.text();
  expect(html).not.toMatch(/https?:|<style|style="|<script(?![^>]* src=)/);
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
  expect(new Set(files.map((file) => file.split(".").at(-1)))).toEqual(new Set(["css", "js", "svg"]));
  for (const file of files) {
    const answer = await request(c, file);
    expect({ file, status: answer.status, caching: answer.headers.get("cache-control") }).toMatchObject({
      status: 200,
      caching: expect.stringContaining("immutable"),
    });
    await answer.bytes();
  }
});

test("answers 304 for a file that the browser has already", async () => {
  await using c = await Fixture.start();
  const etag = (await request(c, "/")).headers.get("etag") ?? "";
  expect((await request(c, "/", { headers: { "if-none-match": etag } })).status).toBe(304);
  expect((await request(c, "/", { headers: { "if-none-match": '"another"' } })).status).toBe(200);
  expect((await request(c, "/", { method: "HEAD" })).status).toBe(200);
});

test("an unknown file of the page is 404; so is a POST to the page", async () => {
  await using c = await Fixture.start();
  for (const path of ["/chunk-nothing.js", "/page.css", "/..%2fpage.css", "/dashboard/page.html"])
    expect({ path, status: (await request(c, path)).status }).toEqual({ path, status: 404 });
  expect((await request(c, "/", { method: "POST" })).status).toBe(404);
});

test("with a token the page is open and the API is not", async () => {
  await using c = await Fixture.start();
  await c.restart({ token: "secret" });
  expect((await request(c, "/")).status).toBe(200);
  for (const path of ["/stats", "/trees", "/sse/sessions", "/openapi.json"])
    expect({ path, status: (await request(c, path)).status }).toEqual({ path, status: 401 });
});

test("without a token another origin is refused even the page", async () => {
  await using c = await Fixture.start();
  expect((await request(c, "/", { headers: { origin: "https://example.com" } })).status).toBe(403);
});
