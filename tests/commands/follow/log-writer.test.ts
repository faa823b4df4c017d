import { expect, test } from "bun:test";
import type { CommandContext } from "../../../src/commands/command-line/command.ts";
import { LogWriter } from "../../../src/commands/follow/log-writer.ts";

const MIB = 1024 * 1024;

/** What is printed of these parts of stdout, a line each. */
function printedOf(parts: readonly string[], isJson: boolean): string[] {
  const printed: string[] = [];
  const context = { print: (text: string) => void printed.push(text), isTerminal: false } as CommandContext;
  const writer = new LogWriter(context, { isJson, isMarked: true, tail: null });
  for (const part of parts) writer.output("stdout", part);
  writer.end();
  return printed;
}

test("a line that never ends is written in pieces, none is lost, and the JSON says which goes on", () => {
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

test("lines are put together from their parts", () => {
  expect(printedOf(["on", "e\ntwo\n", "", "thr", "ee"], false)).toEqual(["out| one", "out| two", "out| three"]);
});
