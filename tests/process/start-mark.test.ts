import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { preventStart, startMarkOf } from "../../src/process/start-mark.ts";
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

test("preventStart: an executor that has not started never will, but a new attempt can", () => {
  using folder = tempFolder();
  const late = startMarkOf(folder.path);
  expect(preventStart(folder.path)).toBe(true);
  expect(startUnder(folder.path, late)).toBe(1);
  expect(existsSync(join(folder.path, "executed"))).toBe(false);
  expect(startUnder(folder.path, startMarkOf(folder.path))).toBe(0);
  expect(existsSync(join(folder.path, "executed"))).toBe(true);
});

test("preventStart: fails once an executor has started, even after a prevented attempt", () => {
  using folder = tempFolder();
  expect(preventStart(folder.path)).toBe(true);
  // The runner was killed again before the next attempt.
  expect(preventStart(folder.path)).toBe(true);
  expect(startUnder(folder.path, startMarkOf(folder.path))).toBe(0);
  expect(preventStart(folder.path)).toBe(false);
});

test("preventStart: fails without a run folder", () => {
  using folder = tempFolder();
  const gone = join(folder.path, "gone");
  expect(preventStart(gone)).toBe(false);
  mkdirSync(gone);
  expect(preventStart(gone)).toBe(true);
});
