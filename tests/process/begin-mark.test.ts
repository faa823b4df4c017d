import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { beginMarkOf, preventBeginning } from "../../src/process/begin-mark.ts";
import { underShim } from "../../src/process/shim.ts";
import { tempFolder } from "../harness/temp-folder.ts";

function startUnder(folder: string, mark: string): number {
  const command = underShim(
    ["/bin/sh", "-c", 'echo once >> "$0"', join(folder, "executed")],
    join(folder, "exit"),
    mark,
    null,
  );
  return Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exitCode;
}

test("preventBeginning: an executor that has not begun never will, and a new attempt may", () => {
  using folder = tempFolder();
  const late = beginMarkOf(folder.path);
  expect(preventBeginning(folder.path)).toBe(true);
  expect(startUnder(folder.path, late)).toBe(1);
  expect(existsSync(join(folder.path, "executed"))).toBe(false);
  expect(startUnder(folder.path, beginMarkOf(folder.path))).toBe(0);
  expect(existsSync(join(folder.path, "executed"))).toBe(true);
});

test("preventBeginning: one that has begun is left alone, also after an attempt that was prevented", () => {
  using folder = tempFolder();
  expect(preventBeginning(folder.path)).toBe(true);
  // Killed again before it was begun anew.
  expect(preventBeginning(folder.path)).toBe(true);
  expect(startUnder(folder.path, beginMarkOf(folder.path))).toBe(0);
  expect(preventBeginning(folder.path)).toBe(false);
});

test("preventBeginning: where the run's folder is gone, nobody can tell", () => {
  using folder = tempFolder();
  const gone = join(folder.path, "gone");
  expect(preventBeginning(gone)).toBe(false);
  mkdirSync(gone);
  expect(preventBeginning(gone)).toBe(true);
});
