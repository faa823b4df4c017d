import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dir, "../..");

/** All modules that `file` loads, at any depth, except those of import(). */
function loadedWith(file: string, found = new Set<string>()): Set<string> {
  const { imports } = new Bun.Transpiler({ loader: "ts" }).scan(readFileSync(file, "utf8"));
  for (const { path, kind } of imports) {
    if (kind !== "import-statement") continue;
    const target = path.startsWith(".") ? join(dirname(file), path) : path;
    if (found.has(target)) continue;
    found.add(target);
    if (target.endsWith(".ts")) loadedWith(target, found);
  }
  return found;
}

test("main.ts loads four of our files and no Node module, which would cost each start milliseconds", () => {
  const loaded = [...loadedWith(join(root, "src/main.ts"))].map((path) => path.replace(`${root}/`, "")).toSorted();
  // The build replaces package.json by the version.
  expect(loaded).toEqual([
    "package.json",
    "src/commands/terminal/output.ts",
    "src/errors.ts",
    "src/harmless-text.ts",
    "src/version.ts",
  ]);
});
