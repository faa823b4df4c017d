import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dir, "../..");
const pages = ["*.md", "docs/**/*.md", "executors/**/*.md"].flatMap((pattern) =>
  [...new Bun.Glob(pattern).scanSync({ cwd: root })].sort(),
);

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
  const page = readFileSync(join(root, path), "utf8").replace(/^```[\s\S]*?^```/gm, "");
  return [...page.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? join(root, path) : join(root, dirname(path), file);
    if (!existsSync(target)) return [`${path}: ${link}`];
    return anchor === undefined || anchorsOf(readFileSync(target, "utf8")).has(anchor) ? [] : [`${path}: ${link}`];
  });
}

test("links between the pages lead to existing files and headings", () => {
  expect(pages.length).toBeGreaterThan(8);
  expect(pages.flatMap(brokenLinks)).toEqual([]);
});
