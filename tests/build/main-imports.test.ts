import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Every module that is loaded with `file`, however far down; what is loaded by import() is not. */
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

test("what every start loads is three files of ours beside main.ts: none of node's modules, each of which takes milliseconds", () => {
  const loaded = [...loadedWith(join(root, "src/main.ts"))].map((path) => path.replace(`${root}/`, "")).toSorted();
  // The build puts the version in the place of package.json.
  expect(loaded).toEqual(["package.json", "src/commands/terminal/output.ts", "src/errors.ts", "src/version.ts"]);
});
