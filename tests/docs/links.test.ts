import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PAGES, readPage, ROOT } from "./pages.ts";

/** The anchors that GitHub generates for headings. */
function anchorsOf(page: string): Set<string> {
  const headings = page.replace(/^```[\s\S]*?^```/gm, "").match(/^#{1,6} .+$/gm) ?? [];
  return new Set(
    headings.map((line) =>
      line
        .replace(/^#+ /, "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function brokenLinks(path: string): string[] {
  const page = readPage(path).replace(/^```[\s\S]*?^```/gm, "");
  return [...page.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? join(ROOT, path) : join(ROOT, dirname(path), file);
    if (!existsSync(target)) return [`${path}: ${link}`];
    return anchor === undefined || anchorsOf(readFileSync(target, "utf8")).has(anchor) ? [] : [`${path}: ${link}`];
  });
}

test("links between the pages lead to existing files and headings", () => {
  expect(PAGES.length).toBeGreaterThan(8);
  expect(PAGES.flatMap(brokenLinks)).toEqual([]);
});
