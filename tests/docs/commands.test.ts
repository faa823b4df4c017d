import { expect, test } from "bun:test";
import { chooseCommand, normaliseArgs } from "../../src/commands/command-line/choose-command.ts";
import { COMMANDS, rootCommand } from "../../src/commands/command-table.ts";
import { PAGES, readPage } from "./pages.ts";
import { isAbout, NOT_RUN, SHELL_BLOCKS, shellScripts } from "./shell-blocks.ts";

/** The arguments after `agent-runner`, in shell blocks and between backticks. */
function commandLines(page: string): string[] {
  const text = readPage(page);
  const inBlocks = shellScripts(text).flatMap((script) => script.split("\n"));
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

const lines = PAGES.filter((page) => page !== "CHANGELOG.md").flatMap((page) =>
  commandLines(page).map((line) => [page, line] as const),
);

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

test("each exception from running the shell blocks is about exactly one block", () => {
  const blocks = NOT_RUN.map((exception) => ({
    exception,
    count: SHELL_BLOCKS.filter((block) => isAbout(exception, block)).length,
  }));
  expect(blocks.filter(({ count }) => count !== 1)).toEqual([]);
});
