import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { findExecutorByPath } from "../../src/catalog/find-executor.ts";
import { checkReadiness } from "../../src/catalog/readiness.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { optionsFor, place } from "./executor-folder.ts";

const ok = { ok: true } as const;
const PROGRAM = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0]);

describe("checkReadiness", () => {
  test.each([
    ["a script with an absolute interpreter", "ao-x-exec", "#!/bin/sh\n", 0o755],
    ["a script with its interpreter in PATH", "ao-x-exec.py", "#!/usr/bin/env known\n", 0o755],
    ["env with options and variables", "ao-x-exec.py", "#!/usr/bin/env -S A=b known -u\n", 0o755],
    ["a space after #!", "ao-x-exec", "#! /bin/sh -e\n", 0o755],
    ["a program", "ao-x-exec", PROGRAM, 0o755],
    ["TypeScript without a run bit", "ao-x-exec.ts", "#!/usr/bin/env unknown\n", 0o644],
    ["TypeScript without a #! line", "ao-x-exec.ts", "export {};\n", 0o755],
    ["TypeScript whose Bun is not installed", "ao-x-exec.ts", "#!/usr/bin/env bun\n", 0o755],
    ["JavaScript whose Node is not installed", "ao-x-exec.mjs", "#!/usr/local/nowhere/node\n", 0o755],
  ])("accepts %s", (_what, file, text, mode) => {
    using at = tempFolder();
    place(at.path, "bin/known");
    const path = place(at.path, file, text, mode);
    const options = optionsFor(at.path, { env: { PATH: `:${join(at.path, "bin")}` } });
    expect(checkReadiness({ name: "x", path }, options)).toEqual(ok);
  });

  test.each([
    ["a script without a run bit", "ao-x-exec.py", "#!/usr/bin/env known\n", 0o644, "has no run bit", "chmod +x"],
    ["a program without a run bit", "ao-x-exec", PROGRAM, 0o644, "has no run bit", "chmod +x"],
    ["a text without a #! line", "ao-x-exec.sh", "echo hello\n", 0o755, "has no #! line", "#!/bin/sh"],
    ["an empty file", "ao-x-exec", "", 0o755, "has no #! line", "#!/bin/sh"],
    [
      "an interpreter that is not in PATH",
      "ao-x-exec.py",
      "#!/usr/bin/env unknown\n",
      0o755,
      "needs unknown, which is not in PATH",
      "install",
    ],
    [
      "an interpreter without a run bit",
      "ao-x-exec.py",
      "#!/usr/bin/env closed\n",
      0o755,
      "needs closed, which is not in PATH",
      "install",
    ],
    [
      "an interpreter that does not exist",
      "ao-x-exec",
      "#!/no/such/sh\n",
      0o755,
      "needs /no/such/sh, which does not exist",
      "install",
    ],
    ["TypeScript for another runtime", "ao-x-exec.ts", "#!/usr/bin/env unknown\n", 0o755, "needs unknown", "install"],
    ["CRLF line ends", "ao-x-exec", "#!/usr/bin/env known\r\n", 0o755, "carriage return", "LF"],
  ])("refuses %s", (_what, file, text, mode, reason, hint) => {
    using at = tempFolder();
    place(at.path, "bin/known");
    place(at.path, "bin/closed", "", 0o644);
    const path = place(at.path, file, text, mode);
    const readiness = checkReadiness({ name: "x", path }, optionsFor(at.path, { env: { PATH: join(at.path, "bin") } }));
    if (readiness.ok) throw new Error("it was not refused");
    expect(readiness.reason).toContain(reason);
    expect(readiness.reason).toContain(path);
    expect(readiness.hint).toContain(hint);
  });

  test("reads the file on each call", () => {
    using at = tempFolder();
    const options = optionsFor(at.path);
    const executor = findExecutorByPath(place(at.path, "x/ao-x-exec"), options);
    expect(checkReadiness(executor, options)).toEqual(ok);
    rmSync(join(at.path, "x/ao-x-exec"));
    expect(checkReadiness(executor, options)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("does not exist"),
    });
  });

  test("refuses a folder", () => {
    using at = tempFolder();
    expect(checkReadiness({ name: "x", path: at.path }, optionsFor(at.path))).toMatchObject({
      ok: false,
      reason: expect.stringContaining("is not a file"),
    });
  });

  test("accepts a built-in executor without needs", () => {
    expect(checkReadiness({ name: "test-executor", path: null }, optionsFor("/nowhere"))).toEqual(ok);
  });

  test.each([
    ["ao-x-exec.ts", "#!/usr/bin/env unknown\n", true],
    ["ao-x-exec.exe", PROGRAM, true],
    ["ao-x-exec.py", "#!/usr/bin/env python3\n", false],
  ])("on Windows, %s: needs no run bit; refuses other scripts", (file, text, isOk) => {
    using at = tempFolder();
    const path = place(at.path, file, text, 0o644);
    expect(checkReadiness({ name: "x", path }, optionsFor(at.path, { platform: "win32" })).ok).toBe(isOk);
  });
});
