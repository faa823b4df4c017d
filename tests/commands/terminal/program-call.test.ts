import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { programCall } from "../../../src/commands/terminal/program-call.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

/** A folder with a program in `dist`, which `call` calls from a folder with an environment. */
function project(): {
  path: string;
  file: string;
  call: (cwd: string, env?: Record<string, string>) => string;
} & Disposable {
  const folder = tempFolder();
  const path = realpathSync(folder.path);
  mkdirSync(join(path, "dist"));
  const file = join(path, "dist", "agent-runner");
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, 0o755);
  return {
    path,
    file,
    call: (cwd, env = {}) => programCall({ file, bun: null, cwd, env }),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

test("programCall: a path below the current folder is relative, any other is absolute", () => {
  using here = project();
  expect(here.call(here.path)).toBe(join("dist", "agent-runner"));
  expect(here.call(join(here.path, "dist"))).toBe(`.${sep}agent-runner`);
  expect(here.call("/")).toBe(here.file.slice(1));
  expect(here.call(join(here.path, "other"))).toBe(here.file);
});

test("programCall: the path is absolute if npm was started in another folder", () => {
  using here = project();
  expect(here.call(here.path, { INIT_CWD: here.path })).toBe(join("dist", "agent-runner"));
  expect(here.call(here.path, { INIT_CWD: "/elsewhere" })).toBe(here.file);
});

test.skipIf(process.platform === "win32")("programCall: agent-runner if PATH has this program, also by a link", () => {
  using here = project();
  const bin = join(here.path, "bin");
  mkdirSync(bin);
  symlinkSync(here.file, join(bin, "agent-runner"));
  expect(here.call(here.path, { PATH: join(here.path, "dist") })).toBe("agent-runner");
  expect(here.call(here.path, { PATH: bin })).toBe("agent-runner");
});

test.skipIf(process.platform === "win32")("programCall: another agent-runner on PATH is not this program", () => {
  using here = project();
  using other = project();
  expect(here.call(here.path, { PATH: join(other.path, "dist") })).toBe("dist/agent-runner");
});

test("programCall: in development Bun runs the file; a path with spaces is quoted", () => {
  expect(programCall({ file: "/a b/src/main.ts", bun: "bun", cwd: "/c", env: {} })).toBe("bun '/a b/src/main.ts'");
});
