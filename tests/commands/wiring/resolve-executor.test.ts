import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveExecutor } from "../../../src/commands/wiring/resolve-executor.ts";
import { type Flags, loadConfig } from "../../../src/config/load-config.ts";
import { UserError } from "../../../src/errors.ts";
import { place } from "../../catalog/executor-folder.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const CLAUDE =
  '#!/bin/sh\ncase "$1" in --version) echo "2.1.330 (Claude Code)" ;; auth) echo \'{ "loggedIn": true }\' ;; esac\n';

/** A user with a settings file, and a Claude Code that says what the real one would. */
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

// In this project's folder executors are found as files, before the built-in ones; the path that a clone does not have means the built-in one.
const BUILT_IN = { "executor-path": "executors/claude-code/ao-claude-code-exec" };

describe.skipIf(process.platform === "win32")("resolveExecutor", () => {
  test("says with which Claude Code the built-in executor runs", () => {
    using person = user("[executors.claude-code]\nmodel = 'opus'");
    expect(person.resolve(BUILT_IN)).toMatchObject({
      executor: { name: "claude-code", origin: "built-in" },
      note: expect.stringContaining(`Claude Code 2.1.330 at ${person.claude} (the setting)`),
    });
    expect(person.resolve({ executor: "test-executor" }).note).toBeNull();
  });

  test("tells faults in the executor's settings at the start, all at once", () => {
    using person = user("[executors.claude-code]\nmodle = 'opus'\nmax_turns = 'many'");
    const fault = faultOf(() => person.resolve(BUILT_IN));
    expect(fault.message).toMatch(
      /^The executor claude-code cannot run: bad settings: modle: there is no such setting.*; max_turns: must be a whole number/,
    );
    expect(fault.hint).toContain("[executors.claude-code]");
  });

  test("refuses a table for an executor that does not exist, and takes one for an executor that is given by its path", () => {
    using person = user("[executors.claude-cod]\nmodel = 'opus'");
    const fault = faultOf(() => person.resolve({ executor: "test-executor" }));
    expect(fault.message).toMatch(/^executors\.claude-cod \(.*config\.toml\): there is no such executor$/);
    expect(fault.hint).toBe("did you mean claude-code?");
    expect(fault.exitCode).toBe(2);
    using other = user("[executors.mine]\nx = 1");
    const path = place(other.claude.replace("/bin/my-claude", ""), "mine/ao-mine-exec");
    expect(other.resolve({ "executor-path": path }).executor).toMatchObject({ name: "mine", origin: "path" });
  });
});
