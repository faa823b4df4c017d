import { expect, test } from "bun:test";
import { AT_ONCE_MS } from "./harness/until.ts";
import { harmlessJson, harmlessLine, harmlessText } from "../src/harmless-text.ts";

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

test.each(["\u001b]", "\u009d", "\u0090a", "\u009b1", "\u001b(", "\u001b[1;"])(
  "harmlessText takes linear time for a megabyte of unfinished sequences: %j",
  (begin) => {
    const start = performance.now();
    expect(harmlessText(begin.repeat(1_000_000 / begin.length))).not.toContain(begin);
    expect(performance.now() - start).toBeLessThan(AT_ONCE_MS);
  },
);

test("harmlessLine: one line without control characters and changes of direction", () => {
  expect(harmlessLine("a\r\nb\u001b[2J\u009b2J\u202ec\u2028d\u0085\te\n")).toBe("a\\nb?[2J?2J?c?d?\te");
});

test("harmlessJson: the same value, without control characters", () => {
  const value = { a: "\u001b]0;x\u0007\u009b2J\u202e\u2028\u007f\u0085 שלום" };
  const text = harmlessJson(JSON.stringify(value));
  expect(JSON.parse(text)).toEqual(value);
  // oxlint-disable-next-line no-control-regex
  expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
});
