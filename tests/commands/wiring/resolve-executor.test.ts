import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executorOption, resolveExecutor } from "../../../src/commands/wiring/resolve-executor.ts";
import { type Flags, loadConfig } from "../../../src/config/load-config.ts";
import { UserError } from "../../../src/errors.ts";
import { place } from "../../catalog/executor-folder.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const CLAUDE =
  '#!/bin/sh\ncase "$1" in --version) echo "2.1.330 (Claude Code)" ;; auth) echo \'{ "loggedIn": true }\' ;; esac\n';

/** A user with a settings file and a fake Claude Code. */
function user(
  toml: string,
): { claude: string; resolve: (flags?: Flags) => ReturnType<typeof resolveExecutor> } & Disposable {
  const folder = tempFolder();
  const env = {
    HOME: folder.path,
    PATH: process.env["PATH"],
    CLAUDE_CODE_PATH: place(folder.path, "bin/my-claude", CLAUDE),
  };
  mkdirSync(join(folder.path, ".config/agent-runner"), { recursive: true });
  writeFileSync(join(folder.path, ".config/agent-runner/config.toml"), toml);
  return {
    claude: env.CLAUDE_CODE_PATH,
    resolve: (flags = {}) => resolveExecutor(loadConfig(flags, env, folder.path), env),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

function faultOf(resolve: () => unknown): UserError {
  try {
    resolve();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("nothing was wrong");
}

// In this project's folder executors are files, which come before built-in ones. This path has no file, so it means the
// built-in one.
const BUILT_IN = { "executor-path": "executors/claude-code/ao-claude-code-exec" };

describe.skipIf(process.platform === "win32")("resolveExecutor", () => {
  test("notes the Claude Code of the built-in executor", () => {
    using person = user("[executors.claude-code]\nmodel = 'opus'");
    expect(person.resolve(BUILT_IN)).toMatchObject({
      executor: { name: "claude-code", origin: "built-in" },
      note: expect.stringContaining(`Claude Code 2.1.330 at ${person.claude} (the setting)`),
    });
    expect(person.resolve({ executor: "test-executor" }).note).toBeNull();
  });

  test("reports all mistakes in the executor's settings at the start", () => {
    using person = user("[executors.claude-code]\nmodle = 'opus'\nmax_turns = 'many'");
    const fault = faultOf(() => person.resolve(BUILT_IN));
    expect(fault.message).toMatch(
      /^The executor claude-code cannot run: bad settings: modle: unknown setting.*; max_turns: must be a whole number/,
    );
    expect(fault.hint).toContain("[executors.claude-code]");
  });

  test("refuses a table for an unknown executor, and accepts one for an executor given by its path", () => {
    using person = user("[executors.claude-cod]\nmodel = 'opus'");
    const fault = faultOf(() => person.resolve({ executor: "test-executor" }));
    expect(fault.message).toMatch(/^executors\.claude-cod \(.*config\.toml\): there is no such executor$/);
    expect(fault.hint).toBe("Did you mean claude-code?");
    expect(fault.exitCode).toBe(2);
    using other = user("[executors.mine]\nx = 1");
    const path = place(other.claude.replace("/bin/my-claude", ""), "mine/ao-mine-exec");
    expect(other.resolve({ "executor-path": path }).executor).toMatchObject({ name: "mine", origin: "path" });
  });
});

describe.skipIf(process.platform === "win32")("executorOption", () => {
  const optionFor = (flags: Flags, files: Record<string, string>): string => {
    using folder = tempFolder();
    for (const [path, text] of Object.entries(files)) place(folder.path, path, text);
    const env = { HOME: folder.path, CLAUDE_CODE_PATH: join(folder.path, "bin/claude") };
    return executorOption(loadConfig(flags, env, folder.path), env);
  };
  const OWN = { ".local/share/agent-runner/executors/own/ao-own-exec": "#!/bin/sh\n" };

  test("is empty where Claude Code is installed, also after a trial of test-executor", () => {
    expect(optionFor({}, { "bin/claude": CLAUDE, ...OWN })).toBe("");
    expect(optionFor({ executor: "test-executor" }, { "bin/claude": CLAUDE })).toBe("");
  });

  test("names the user's own executor without Claude Code, and test-executor if there is nothing else", () => {
    expect(optionFor({}, OWN)).toBe(" -x own");
    expect(optionFor({}, {})).toBe(" -x test-executor");
  });

  test("repeats a chosen executor", () => {
    expect(optionFor({ executor: "own" }, OWN)).toBe(" -x own");
    expect(optionFor({ "executor-path": "/opt/exec" }, {})).toBe(" -e /opt/exec");
  });
});
