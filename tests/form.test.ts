import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PAGES, readPage } from "./docs/pages.ts";

const root = join(import.meta.dir, "..");
const WIDTH = 120;

// Data (JSON, SVG) is not read line by line. Fixture executors and the shell example have no extension.
const CODE = [
  "{src,executors,tests,scripts,bench}/**/*.{ts,tsx,mts,mjs,css,html,sh,py,txt}",
  "{executors,tests/fixtures/executors}/**/ao-*-exec",
  "build.ts",
];

/** The numbers of the lines over the width, except lines that no space allows to break, such as a URL. */
function wideLines(text: string, isExempt = (_line: string): boolean => false): number[] {
  return text
    .split("\n")
    .flatMap((line, i) => (Bun.stringWidth(line) > WIDTH && canBreak(line) && !isExempt(line) ? [i + 1] : []));
}

/** A line can break if a space stands after its first word; the mark of a comment, a list or a quote is no word. */
function canBreak(line: string): boolean {
  return /\S\s+\S/.test(line.trim().replace(/^(?:\/\/|\/?\*+|#+|[-*>]|\d+\.)\s+/, ""));
}

function isTableRow(line: string): boolean {
  return /^\s*\|/.test(line);
}

/** The numbers of the first lines of the tables that have no head: a row with a text for each column, and a rule. */
function headlessTables(page: string): number[] {
  const lines = page.replace(/^ *```[\s\S]*?^ *```/gm, (block) => block.replace(/[^\n]/g, "")).split("\n");
  return lines.flatMap((line, i) => {
    if (!isTableRow(line) || isTableRow(lines[i - 1] ?? "")) return [];
    const hasTexts = cellsOf(line).every((cell) => cell !== "");
    const hasRule = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/.test(lines[i + 1] ?? "");
    return hasTexts && hasRule ? [] : [i + 1];
  });
}

function cellsOf(row: string): string[] {
  return row
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

test(`no line of the code is over ${WIDTH} columns`, () => {
  const files = CODE.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })]).sort();
  expect(files.length).toBeGreaterThan(500);
  const wide = files.flatMap((file) =>
    wideLines(readFileSync(join(root, file), "utf8")).map((line) => `${file}:${line}`),
  );
  expect(wide).toEqual([]);
});

test(`no line of the documentation is over ${WIDTH} columns, except the rows of tables`, () => {
  expect(PAGES.flatMap((page) => wideLines(readPage(page), isTableRow).map((line) => `${page}:${line}`))).toEqual([]);
});

test("every table of the documentation has a head", () => {
  expect(PAGES.flatMap((page) => headlessTables(readPage(page)).map((line) => `${page}:${line}`))).toEqual([]);
});

const word = "x".repeat(WIDTH);

test("wideLines finds a line that can break, and ignores a single word behind a mark", () => {
  expect(wideLines(`short\n${word} more\n// ${word}\n  - ${word}\n${word}\n# ${word} more`)).toEqual([2, 6]);
  expect(wideLines(`| ${word} more |`, isTableRow)).toEqual([]);
  expect(wideLines("é ".repeat(WIDTH / 2))).toEqual([]);
});

test("headlessTables finds an empty head, a missing head and rows that an empty line cuts off", () => {
  expect(headlessTables("| a | b |\n| --- | ---: |\n| c | d |")).toEqual([]);
  expect(headlessTables("| | b |\n| --- | --- |\n| c | d |")).toEqual([1]);
  expect(headlessTables("| c | d |\n| e | f |")).toEqual([1]);
  expect(headlessTables("| a | b |\n| --- | --- |\n\n| c | d |")).toEqual([4]);
  expect(headlessTables("```\n| not | a table |\n```")).toEqual([]);
});
