import { expect, test } from "bun:test";
import { fitted, printable, printTable } from "../../../src/commands/terminal/table.ts";

test("printTable: columns as wide as they need to be, nothing behind the last", () => {
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

test("printTable: no rows are the headings alone", () => {
  expect(printTable(["A", "B"], [])).toBe("A  B");
});

test("printTable: lines that are too long for the terminal are cut", () => {
  expect(printTable(["A", "B"], [["1", "x".repeat(50)]], 10)).toBe(`A  B\n1  ${"x".repeat(6)}…`);
});

test("printTable: cells cannot break the table or steer the terminal", () => {
  expect(printTable(["A", "B"], [["one\ntwo\t3", "\x1b[31mred\x07\x9b"]])).toBe(
    "A          B\none two 3  red␇[U+009B]",
  );
});

test("printTable: takes as many rows as there are", () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [String(i)]);
  expect(printTable(["N"], rows).split("\n")).toHaveLength(200_001);
});

test("printable: one line of harmless text", () => {
  expect(printable("a\r\n\u2028b \u0000c")).toBe("a b ␀c");
});

test("printTable: columns stay under each other, however wide the letters are", () => {
  const lines = printTable(
    ["A", "B"],
    [
      ["日本語", "x"],
      ["ab", "y"],
    ],
  ).split("\n");
  expect(lines).toEqual(["A       B", "日本語  x", "ab      y"]);
});

test("fitted: as many cells at most, never half a letter", () => {
  expect([fitted("日本語", 6), fitted("日本語", 5), fitted("日本語", 4), fitted("abc", 0)]).toEqual([
    "日本語",
    "日本…",
    "日…",
    "",
  ]);
});
