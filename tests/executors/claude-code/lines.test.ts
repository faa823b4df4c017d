import { expect, test } from "bun:test";
import { Lines } from "../../../executors/claude-code/lines.ts";

function linesOf(chunks: readonly string[], maxBytes?: number): string[] {
  const seen: string[] = [];
  const lines = new Lines((line) => seen.push(line), maxBytes);
  for (const chunk of chunks) lines.add(Buffer.from(chunk, "latin1"));
  lines.end();
  return seen;
}

test("Lines: any cut of the bytes gives the same lines, without blank ones", () => {
  const bytes = Buffer.from("one\n\n  \né 🎉\r\nlast").toString("latin1");
  for (let cut = 0; cut <= bytes.length; cut++)
    expect(linesOf([bytes.slice(0, cut), bytes.slice(cut)])).toEqual(["one", "é 🎉\r", "last"]);
  expect(linesOf(bytes.split(""))).toEqual(["one", "é 🎉\r", "last"]);
});

test("Lines: cuts a line that is too long, and reads the next one", () => {
  expect(linesOf(["abc", "def", "gh\nok\n"], 4)).toEqual(["abcd", "ok"]);
});
