import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const ask = (c: Fixture, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(c.coordinator.url + path, { ...init, keepalive: false });

test("the page and each file that it names are served, with what keeps a browser from doing anything else", async () => {
  await using c = await Fixture.start();
  const page = await ask(c, "/");
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
    const answer = await ask(c, file);
    expect({ file, status: answer.status, caching: answer.headers.get("cache-control") }).toMatchObject({
      status: 200,
      caching: expect.stringContaining("immutable"),
    });
    await answer.bytes();
  }
});

test("a file that the browser has is not sent again", async () => {
  await using c = await Fixture.start();
  const etag = (await ask(c, "/")).headers.get("etag") ?? "";
  expect((await ask(c, "/", { headers: { "if-none-match": etag } })).status).toBe(304);
  expect((await ask(c, "/", { headers: { "if-none-match": '"another"' } })).status).toBe(200);
  expect((await ask(c, "/", { method: "HEAD" })).status).toBe(200);
});

test("what looks like a file of the page and is none is not found; nothing can be written there", async () => {
  await using c = await Fixture.start();
  for (const path of ["/chunk-nothing.js", "/page.css", "/..%2fpage.css", "/dashboard/page.html"])
    expect({ path, status: (await ask(c, path)).status }).toEqual({ path, status: 404 });
  expect((await ask(c, "/", { method: "POST" })).status).toBe(404);
});

test("with a token the page is open, for it holds nothing, and all that it asks for is not", async () => {
  await using c = await Fixture.start();
  await c.restart({ token: "secret" });
  expect((await ask(c, "/")).status).toBe(200);
  for (const path of ["/stats", "/trees", "/sse/sessions", "/openapi.json"])
    expect({ path, status: (await ask(c, path)).status }).toEqual({ path, status: 401 });
});

test("without a token a page of another origin gets nothing, not even the page", async () => {
  await using c = await Fixture.start();
  expect((await ask(c, "/", { headers: { origin: "https://example.com" } })).status).toBe(403);
});
