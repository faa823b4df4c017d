import { beforeAll, afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Executor } from "../../src/catalog/executor.ts";
import { findExecutorByPath } from "../../src/catalog/find-executor.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { optionsFor, place } from "./executor-folder.ts";

const PRINTS_ENVIRONMENTS = `
import { spawnSync, spawn } from "bun";
import { spawnSync as nodeSpawnSync } from "node:child_process";
const show = ["sh", "-c", "echo [$BUN_BE_BUN]"];
const program: string = "typed";
const { BUN_BE_BUN, FROM_DOTENV } = process.env;
const ofNode = nodeSpawnSync(show[0], show.slice(1)).stdout.toString().trim();
console.log(program, import.meta.main, process.argv.length, [BUN_BE_BUN, FROM_DOTENV, globalThis.fromBunfig].join());
console.log(Bun.spawnSync(show).stdout.toString().trim(), spawnSync({ cmd: show }).stdout.toString().trim());
console.log((await new Response(spawn(show).stdout).text()).trim(), ofNode);
console.log(spawnSync(["sh", "-c", "echo $OWN"], { env: { ...process.env, OWN: "kept" } }).stdout.toString().trim());
`;
const EXPECTED = "typed true 2 ,,\n[] []\n[] []\nkept\n";

function run(executor: Executor, cwd: string): { stdout: string; stderr: string } {
  const { stdout, stderr } = Bun.spawnSync([...executor.command], {
    cwd,
    env: { PATH: process.env["PATH"], ...executor.env },
  });
  return { stdout: stdout.toString(), stderr: stderr.toString() };
}

/** A working folder whose files Bun would load. */
function hostileProject(folder: string): string {
  place(folder, "project/.env", "FROM_DOTENV=1\n");
  place(folder, "project/bunfig.toml", 'preload = ["./evil.ts"]\n');
  place(folder, "project/evil.ts", "globalThis.fromBunfig = 1;\n");
  place(folder, "project/instead.ts", "console.log('instead');\n");
  place(folder, "project/tsconfig.json", '{"compilerOptions": {"paths": {"*": ["./instead.ts"]}}}');
  place(folder, "project/package.json", '{"type": "module", "main": "instead.ts"}');
  return join(folder, "project");
}

describe("ownBunCommand", () => {
  test.each([0o644, 0o755])("runs a TypeScript executor without a #! line, mode %o, and is not inherited", (mode) => {
    using at = tempFolder();
    const path = place(at.path, "x/ao-x-exec.ts", PRINTS_ENVIRONMENTS, mode);
    const executor = findExecutorByPath(path, optionsFor(at.path));
    expect(executor.env).toEqual({ BUN_BE_BUN: "1" });
    expect(run(executor, hostileProject(at.path))).toEqual({ stdout: EXPECTED, stderr: "" });
  });

  test("obeys the tsconfig.json beside the executor, and none above it or in the working folder", () => {
    using at = tempFolder();
    const path = place(at.path, "x/ao-x-exec.ts", 'import { x } from "@own/x";\nconsole.log(x);\n', 0o644);
    place(at.path, "x/parts/x.ts", 'export const x = "its own";\n', 0o644);
    place(at.path, "x/tsconfig.json", '{"compilerOptions": {"paths": {"@own/*": ["./parts/*"]}}}', 0o644);
    place(at.path, "instead.ts", 'console.log("instead");\nexport const x = "";\n', 0o644);
    place(at.path, "tsconfig.json", '{"compilerOptions": {"paths": {"*": ["./instead.ts"]}}}', 0o644);
    const options = optionsFor(at.path);
    expect(run(findExecutorByPath(path, options), hostileProject(at.path)).stdout).toBe("its own\n");
    const plain = place(at.path, "y/ao-y-exec.ts", 'import { x } from "./x";\nconsole.log(x);\n', 0o644);
    place(at.path, "y/x.ts", 'export const x = "plain";\n', 0o644);
    expect(run(findExecutorByPath(plain, options), hostileProject(at.path)).stdout).toBe("plain\n");
  });

  test("leaves a file with a run bit and an installed interpreter to the system", () => {
    using at = tempFolder();
    const path = place(at.path, "x/ao-x-exec.ts", "#!/bin/sh\necho shell\n");
    const executor = findExecutorByPath(path, optionsFor(at.path));
    expect(executor).toMatchObject({ command: [path], env: {} });
    expect(existsSync(join(at.path, "state"))).toBe(false);
    expect(run(executor, at.path).stdout).toBe("shell\n");
  });

  test("restores its preload file after a change", () => {
    using at = tempFolder();
    const path = place(at.path, "x/ao-x-exec.ts", PRINTS_ENVIRONMENTS);
    place(at.path, "state/own-bun-preload.js", "throw new Error('old');\n");
    expect(run(findExecutorByPath(path, optionsFor(at.path)), at.path).stdout).toBe(EXPECTED);
  });

  test("uses the null device of Windows on Windows", () => {
    using at = tempFolder();
    const path = place(at.path, "x/ao-x-exec.ts", "");
    expect(findExecutorByPath(path, optionsFor(at.path, { platform: "win32" })).command).toEqual(
      expect.arrayContaining(["--config=NUL", "--tsconfig-override=NUL"]),
    );
  });

  describe("in a compiled program", () => {
    const at = tempFolder();
    const program = join(at.path, "program");
    afterAll(() => at[Symbol.dispose]());
    beforeAll(async () => {
      const source = place(at.path, "program.ts", "console.log('the program itself');\n", 0o644);
      const built = Bun.spawn([process.execPath, "build", "--compile", source, "--outfile", program], {
        stdout: "ignore",
        stderr: "inherit",
      });
      expect(await built.exited).toBe(0);
    }, 60_000);

    test("works, and the program is itself again for the executor's children", () => {
      const path = place(
        at.path,
        "x/ao-x-exec.ts",
        `${PRINTS_ENVIRONMENTS}console.log(Bun.spawnSync([process.execPath]).stdout.toString());`,
      );
      const executor = findExecutorByPath(path, optionsFor(at.path, { selfCommand: [program] }));
      expect(executor.command[0]).toBe(program);
      expect(run(executor, hostileProject(at.path))).toEqual({
        stdout: `${EXPECTED}the program itself\n\n`,
        stderr: "",
      });
    });
  });
});
