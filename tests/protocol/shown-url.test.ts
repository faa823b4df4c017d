import { expect, test } from "bun:test";
import { shownUrl } from "../../src/protocol/shown-url.ts";

test.each([
  ["http://127.0.0.1:20348/UqhQymkLnLskefA1r3j9S7MdzjHU06H_", "http://127.0.0.1:20348/<token>"],
  ["http://127.0.0.1:20348/UqhQymkLnLskefA1r3j9S7MdzjHU06H_/runs?x=1", "http://127.0.0.1:20348/<token>/runs"],
  ["http://host/proxy/UqhQymkLnLskefA1r3j9S7MdzjHU06H_/mcp", "http://host/proxy/<token>/mcp"],
  ["http://me:secret@proxy.example:3128/", "http://proxy.example:3128"],
  ["https://host/coordinator/", "https://host/coordinator"],
  ["https://host/sse?api_key=secret#x", "https://host/sse"],
  ["socks5://me:secret@proxy:1080", "socks5://proxy:1080"],
  ["me:secret@proxy:3128", "http://proxy:3128"],
  ["proxy:3128", "http://proxy:3128"],
  ["mailto:me:secret@host", "http://host"],
  ["https://secret-token@host/", "https://host"],
  ["no url with secret", "an invalid URL"],
])("shownUrl: %s is %s", (url, expected) => {
  expect(shownUrl(url)).toBe(expected);
});
