import { expect, test } from "bun:test";
import { harmlessText } from "../src/harmless-text.ts";

test.each([
  ["plain text, tabs and lines", "a\tb\nc", "a\tb\nc"],
  ["other scripts", "שלום مرحبا 你好 👩‍👩‍👧", "שלום مرحبا 你好 👩‍👩‍👧"],
  ["line ends of other kinds", "a\r\nb\rc", "a\nb\nc"],
  ["colours", "\u001b[1;31mred\u001b[0m \u001b[38;2;1;2;3mx", "red x"],
  ["cursor movements", "a\u001b[2J\u001b[H\u001b[10;20Hb", "ab"],
  ["a title and a link (OSC)", "\u001b]0;owned\u0007a\u001b]8;;http://x/\u001b\\link\u001b]8;;\u001b\\", "alink"],
  ["sequences that begin with a C1 byte", "a\u009b31mb\u009d0;t\u009cc", "abc"],
  ["short sequences", "a\u001bcb\u001b7c\u001b(Bd", "abcd"],
  ["an ESC without a sequence", "a\u001b", "a\u241b"],
  ["an unfinished sequence", "a\u001b]0;title", "a\u241b]0;title"],
  ["control characters", "a\u0000b\u0007c\bd\u007fe", "a\u2400b\u2407c\u2408d\u2421e"],
  ["C1 control characters", "a\u0085b", "a[U+0085]b"],
  ["changes of direction", "a\u202egpj.exe\u202c\u2066b\u2069", "a[U+202E]gpj.exe[U+202C][U+2066]b[U+2069]"],
])("harmlessText of %s", (_, text, expected) => {
  expect(harmlessText(text)).toBe(expected);
});

test("harmlessText takes linear time for a megabyte of unfinished sequences", () => {
  expect(harmlessText("\u001b]".repeat(500_000)).length).toBe(1_000_000);
});
