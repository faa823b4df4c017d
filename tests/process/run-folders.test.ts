import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pruneRunFolders } from "../../src/process/run-folders.ts";
import { tempFolder } from "../harness/temp-folder.ts";

test("pruneRunFolders: keeps the newest, whatever they are called", () => {
  using folder = tempFolder();
  for (const [i, name] of ["run_c", "run_a", "run_b", "run_d"].entries()) {
    mkdirSync(join(folder.path, name));
    writeFileSync(join(folder.path, name, "stdout"), "x");
    utimesSync(join(folder.path, name), 1_000 + i, 1_000 + i);
  }
  pruneRunFolders(folder.path, 2);
  expect(readdirSync(folder.path).toSorted()).toEqual(["run_b", "run_d"]);
});

test("pruneRunFolders: a folder that is not there is nothing to do", () => {
  using folder = tempFolder();
  const missing = join(folder.path, "runs");
  pruneRunFolders(missing);
  expect(existsSync(missing)).toBe(false);
});

test("pruneRunFolders: a symbolic link that leads nowhere keeps nothing from being removed", () => {
  using folder = tempFolder();
  for (const name of ["run_a", "run_b"]) {
    mkdirSync(join(folder.path, name));
    writeFileSync(join(folder.path, name, "exit"), "0\n");
  }
  symlinkSync(join(folder.path, "nowhere"), join(folder.path, "run_c"));
  pruneRunFolders(folder.path, 0);
  expect(readdirSync(folder.path)).toEqual(["run_c"]);
});
