import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chooseCommand, normaliseArgs } from "../../src/commands/command-line/choose-command.ts";
import { COMMANDS, rootCommand } from "../../src/commands/command-table.ts";
import { isRun, reasonNotToRun, shellBlocks } from "./shell-blocks.ts";

const root = join(import.meta.dir, "../..");
const pages = ["*.md", "docs/**/*.md", "executors/**/*.md"].flatMap((pattern) =>
  [...new Bun.Glob(pattern).scanSync({ cwd: root })].sort(),
);

/** What is typed after `agent-runner`, in shell blocks and between backticks. */
function commandLines(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  const inBlocks = shellBlocks(text).flatMap(({ script }) => script.split("\n"));
  const inline = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...inBlocks, ...inline].flatMap((line) => {
    const typed = /^(?:until |sudo |\.\/)*agent-runner(?: (.*))?$/.exec(line.trim());
    return typed === null ? [] : [typed[1] ?? ""];
  });
}

/** As a shell takes it apart, as far as these pages go: quotes, a comment, and what follows the command. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/'[^']*'|"[^"]*"|[^\s'"]+/g)].map(([word]) => word.replace(/^['"]|['"]$/g, ""));
  const end = words.findIndex((word) => word.startsWith("#") || ["&", "|", "||", "&&", "2>/dev/null"].includes(word));
  return end < 0 ? words : words.slice(0, end);
}

const lines = pages
  .filter((page) => page !== "CHANGELOG.md")
  .flatMap((page) => commandLines(page).map((line) => [page, line] as const));

test("there are commands in the pages", () => {
  expect(lines.length).toBeGreaterThan(30);
});

test.each(
  lines.filter(([, line]) => !/[A-Z]{4}|<|\||\.\.\./.test(line.split("#")[0]?.replaceAll(/'[^']*'/g, "") ?? "")),
)("%s: the program takes `agent-runner %s`", async (_, line) => {
  const { name, rest } = chooseCommand(wordsOf(line), rootCommand.args, Object.keys(COMMANDS));
  const command = name === null ? rootCommand : await COMMANDS[name]?.load();
  if (!rest.includes("--help") && !rest.includes("--version")) normaliseArgs(name ?? "", rest, command?.args ?? {});
});

test("every shell block of the pages is run by tests/e2e/documented-commands.test.ts, or says why it is not", () => {
  const unsaid = pages.flatMap((page) => {
    const blocks = shellBlocks(readFileSync(join(root, page), "utf8"));
    return blocks
      .filter((block) => !isRun(block) && reasonNotToRun(block) === null)
      .map(({ script }) => `${page}: ${script.split("\n")[0]}`);
  });
  expect(unsaid).toEqual([]);
});
