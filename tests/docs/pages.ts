import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");

/** Every Markdown page of the repository, as a path from its root. */
export const PAGES: readonly string[] = ["*.md", "docs/**/*.md", "executors/**/*.md"].flatMap((pattern) =>
  [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })].sort(),
);

export function readPage(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}
