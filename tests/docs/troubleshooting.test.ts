import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorTexts } from "./error-texts.ts";

const root = join(import.meta.dir, "../..");

test("docs/troubleshooting.md quotes every error text of the program", () => {
  const page = readFileSync(join(root, "docs/troubleshooting.md"), "utf8");
  const texts = errorTexts(root);
  expect(texts.length).toBeGreaterThan(30);
  expect(texts.filter(({ text }) => !page.includes(text)).map(({ text, file }) => `${text} (${file})`)).toEqual([]);
});
