import { expect, test } from "bun:test";
import type { CommandContext } from "../../../src/commands/command-line/command.ts";
import { LogWriter } from "../../../src/commands/follow/log-writer.ts";

const MIB = 1024 * 1024;

/** The printed lines for these parts of stdout. */
function printedOf(parts: readonly string[], isJson: boolean): string[] {
  const printed: string[] = [];
  const context = { print: (text: string) => void printed.push(text), isTerminal: false } as CommandContext;
  const writer = new LogWriter(context, { isJson, isMarked: true, tail: null });
  for (const part of parts) writer.output("stdout", part);
  writer.end();
  return printed;
}

test("a line without an end is written in pieces; the JSON marks all but the last", () => {
  const parts = Array.from({ length: 10 }, (_, i) => String(i).repeat(MIB / 4));
  const printed = printedOf(["begin\n", ...parts, "last\nend"], true);
  const rows = printed.map((line) => JSON.parse(line) as { line: string; continues?: boolean });
  expect(rows.map(({ line, continues }) => [line.length, continues])).toEqual([
    [5, undefined],
    [MIB, true],
    [MIB, true],
    [MIB / 2 + 4, undefined],
    [3, undefined],
  ]);
  expect(rows.map(({ line }) => line).join("")).toBe(`begin${parts.join("")}lastend`);
});

test("lines are joined from their parts", () => {
  expect(printedOf(["on", "e\ntwo\n", "", "thr", "ee"], false)).toEqual(["out| one", "out| two", "out| three"]);
});
