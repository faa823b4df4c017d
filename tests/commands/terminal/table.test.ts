import { expect, test } from "bun:test";
import { fitted, printable, printTable, terminalWidth } from "../../../src/commands/terminal/table.ts";

test("printTable: columns as wide as their content, no spaces after the last", () => {
  expect(
    printTable(
      ["A", "LONG", "C"],
      [
        ["1", "2", "3"],
        ["11111", "2", "a long last one"],
      ],
    ),
  ).toBe(["A      LONG  C", "1      2     3", "11111  2     a long last one"].join("\n"));
});

test("printTable: without rows only the headings", () => {
  expect(printTable(["A", "B"], [])).toBe("A  B");
});

test("printTable: cuts lines to the terminal's width", () => {
  expect(printTable(["A", "B"], [["1", "x".repeat(50)]], 10)).toBe(`A  B\n1  ${"x".repeat(6)}…`);
});

test("printTable: cells can neither break the table nor control the terminal", () => {
  expect(printTable(["A", "B"], [["one\ntwo\t3", "\x1b[31mred\x07\x9b"]])).toBe(
    "A          B\none two 3  red␇[U+009B]",
  );
});

test("printTable: accepts any number of rows", () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [String(i)]);
  expect(printTable(["N"], rows).split("\n")).toHaveLength(200_001);
});

test("printable: one line of harmless text", () => {
  expect(printable("a\r\n\u2028b \u0000c")).toBe("a b ␀c");
});

test("printTable: wide letters keep the columns aligned", () => {
  const lines = printTable(
    ["A", "B"],
    [
      ["日本語", "x"],
      ["ab", "y"],
    ],
  ).split("\n");
  expect(lines).toEqual(["A       B", "日本語  x", "ab      y"]);
});

test("fitted: never wider than the width, never half a letter", () => {
  expect([fitted("日本語", 6), fitted("日本語", 5), fitted("日本語", 4), fitted("abc", 0)]).toEqual([
    "日本語",
    "日本…",
    "日…",
    "",
  ]);
});

test("terminalWidth: a terminal that does not know its size has no width", () => {
  const known = Object.getOwnPropertyDescriptor(process.stdout, "columns");
  try {
    Object.defineProperty(process.stdout, "columns", { value: 0, configurable: true });
    expect(terminalWidth({ isTerminal: true })).toBeUndefined();
    Object.defineProperty(process.stdout, "columns", { value: 90, configurable: true });
    expect(terminalWidth({ isTerminal: true })).toBe(90);
    expect(terminalWidth({ isTerminal: false })).toBeUndefined();
  } finally {
    if (known === undefined) Reflect.deleteProperty(process.stdout, "columns");
    else Object.defineProperty(process.stdout, "columns", known);
  }
});
