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

/** The arguments after `agent-runner`, in shell blocks and between backticks. */
function commandLines(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  const inBlocks = shellBlocks(text).flatMap(({ script }) => script.split("\n"));
  const inline = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...inBlocks, ...inline].flatMap((line) => {
    const match = /^(?:until |sudo |\.\/)*agent-runner(?: (.*))?$/.exec(line.trim());
    return match === null ? [] : [match[1] ?? ""];
  });
}

/** Splits a line as a shell does, as far as these pages need: quotes, comments, and operators that end the command. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/'[^']*'|"[^"]*"|[^\s'"]+/g)].map(([word]) => word.replace(/^['"]|['"]$/g, ""));
  const end = words.findIndex((word) => word.startsWith("#") || ["&", "|", "||", "&&", "2>/dev/null"].includes(word));
  return end < 0 ? words : words.slice(0, end);
}

const lines = pages
  .filter((page) => page !== "CHANGELOG.md")
  .flatMap((page) => commandLines(page).map((line) => [page, line] as const));

test("the pages contain commands", () => {
  expect(lines.length).toBeGreaterThan(30);
});

test.each(
  lines.filter(([, line]) => !/[A-Z]{4}|<|\||\.\.\./.test(line.split("#")[0]?.replaceAll(/'[^']*'/g, "") ?? "")),
)("%s: the program accepts `agent-runner %s`", async (_, line) => {
  const { name, rest } = chooseCommand(wordsOf(line), rootCommand.args, Object.keys(COMMANDS));
  const command = name === null ? rootCommand : await COMMANDS[name]?.load();
  if (!rest.includes("--help") && !rest.includes("--version")) normaliseArgs(name ?? "", rest, command?.args ?? {});
});

test("every shell block is run by tests/e2e/documented-commands.test.ts, or states why not", () => {
  const unexplained = pages.flatMap((page) => {
    const blocks = shellBlocks(readFileSync(join(root, page), "utf8"));
    return blocks
      .filter((block) => !isRun(block) && reasonNotToRun(block) === null)
      .map(({ script }) => `${page}: ${script.split("\n")[0]}`);
  });
  expect(unexplained).toEqual([]);
});
