import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** The sections of the page, such as `1b`. */
function sections(): string[] {
  const page = readFileSync(join(root, "docs/protocol.md"), "utf8");
  return [...page.matchAll(/^## (\d+b?)\. /gm)].map(([, number = ""]) => number);
}

/** Each citation in code and fixtures, with its section numbers. A comment may break a citation over two lines. */
function citations(): { file: string; numbers: string[] }[] {
  const files = [...new Bun.Glob("{src,executors,tests,bench}/**/*.{ts,tsx,json}").scanSync({ cwd: root })].sort();
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8").replace(/\n\s*(?:\*|\/\/)?\s*/g, " ");
    return [...text.matchAll(/docs\/protocol\.md`?, sections? ((?:\d+b?(?:, | and | to )?)+)/g)].map(
      ([, numbers = ""]) => ({ file, numbers: numbers.match(/\d+b?/g) ?? [] }),
    );
  });
}

test("comments cite existing sections of docs/protocol.md", () => {
  const known = sections();
  const found = citations();
  expect(found.length).toBeGreaterThan(30);
  expect(found.filter(({ numbers }) => !numbers.every((number) => known.includes(number)))).toEqual([]);
});
