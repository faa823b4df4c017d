import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runBuiltIn } from "../../src/catalog/built-in.ts";
import { findExecutorByName } from "../../src/catalog/find-executor.ts";
import { fakeApi } from "../executor-kit/fake-api.ts";
import { invocation20, startExecutor } from "../executors/start-executor.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { optionsFor, place } from "./executor-folder.ts";

const BUILT_IN = join(import.meta.dir, "../../src/catalog/built-in.ts");

/** A minimal program with built-in executors. */
const PROGRAM = `
import { runBuiltIn } from ${JSON.stringify(BUILT_IN)};
const [command, name = "", ...argv] = process.argv.slice(2);
if (command !== "exec-builtin") throw new Error("unknown command");
process.exitCode = await runBuiltIn(name, argv);
`;

describe("runBuiltIn", () => {
  const at = tempFolder();
  const compiled = join(at.path, "program");
  const source = place(at.path, "program.ts", PROGRAM, 0o644);
  afterAll(() => at[Symbol.dispose]());
  beforeAll(async () => {
    const flags = ["--compile", "--minify", "--bytecode", "--format=esm"];
    const built = Bun.spawn([process.execPath, "build", ...flags, source, "--outfile", compiled], {
      stdout: "ignore",
      stderr: "inherit",
    });
    expect(await built.exited).toBe(0);
  }, 60_000);

  test.each([
    ["in development", [process.execPath, source]],
    ["compiled", [compiled]],
  ])("runs the executor in another process of the program, %s", async (_how, selfCommand) => {
    using folder = tempFolder();
    using api = fakeApi();
    const executor = findExecutorByName("test-executor", optionsFor(folder.path, { selfCommand }));
    const started = startExecutor(executor.command, {
      folder: folder.path,
      apiUrl: api.url,
      invocation: invocation20("hi"),
    });
    expect({ exit: await started.ended, stderr: started.stderr() }).toEqual({ exit: 0, stderr: "" });
    // A module that also ran itself on import would print a second turn.
    expect(started.stdout()).toBe("[test-executor] turn 1 of session ses_000000000001: hi\n");
    expect(api.outline().filter((call) => call === "session_stop")).toHaveLength(1);
  });

  test("passes on arguments and the exit code, compiled", () => {
    const help = Bun.spawnSync([compiled, "exec-builtin", "test-executor", "--help"]);
    const usage = readFileSync(join(import.meta.dir, "../../executors/test-executor/usage.txt"), "utf8");
    expect(help.stdout.toString()).toBe(usage);
    expect(Bun.spawnSync([compiled, "exec-builtin", "test-executor", "--nope"]).exitCode).toBe(2);
  });

  test("refuses an unknown name", async () => {
    await expect(runBuiltIn("gemini", [])).rejects.toThrow('There is no built-in executor "gemini"');
  });
});
