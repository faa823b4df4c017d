import { expect, test } from "bun:test";
import { mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { absolutePath, expandHome, identityOfPath } from "../src/paths.ts";
import { tempFolder } from "./harness/temp-folder.ts";

test.each([
  ["~", "/home/a"],
  ["~/proj", "/home/a/proj"],
  ["~/", "/home/a/"],
  ["./~", "./~"],
  ["/x/~/y", "/x/~/y"],
])("expandHome: %s is %s", (path, expected) => {
  expect(expandHome(path, "/home/a")).toBe(expected);
});

test("absolutePath: relative to the base, without a slash at the end", () => {
  expect(absolutePath("x/../y/", "/base")).toBe("/base/y");
  expect(absolutePath("~/y/", "/base", "/home/a")).toBe("/home/a/y");
});

test("identityOfPath: one text for all spellings of a folder", () => {
  using folder = tempFolder();
  const real = join(realpathSync(folder.path), "project");
  mkdirSync(real);
  symlinkSync(real, join(folder.path, "link"));
  for (const spelling of ["project", "project/", "link", "link/", "x/../project", "./project/."])
    expect(identityOfPath(`${folder.path}/${spelling}`)).toBe(real);
});

test("identityOfPath: a folder that does not exist has the identity of its parent", () => {
  using folder = tempFolder();
  symlinkSync(folder.path, join(folder.path, "link"));
  expect(identityOfPath(join(folder.path, "link", "gone", "deep"))).toBe(
    join(realpathSync(folder.path), "gone", "deep"),
  );
});
