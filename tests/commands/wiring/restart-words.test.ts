import { expect, test } from "bun:test";
import type { Executor } from "../../../src/catalog/executor.ts";
import { restartLine, restartWords } from "../../../src/commands/wiring/restart-words.ts";
import { type Flags, loadConfig } from "../../../src/config/load-config.ts";

const ENV = { HOME: "/home/u", PROJECT_DIR: "/srv/my project" };
const EXECUTOR: Executor = { name: "own", origin: "folder", path: "/x/own/ao-own-exec", command: [], env: {} };

function wordsOf(command: "" | "up", given: Flags, executor: Partial<Executor> = {}): string[] {
  const config = { ...loadConfig(given, ENV, "/srv"), coordinatorUrl: "http://127.0.0.1:41234" };
  return restartWords(command, given, config, { ...EXECUTOR, ...executor });
}

test("restartWords: the given options, and the identity from wherever it was set", () => {
  expect(wordsOf("", { tags: "gpu", "state-dir": "state", "keep-background": true }).join(" ")).toBe(
    "--coordinator-url http://127.0.0.1:41234 --executor own --project-dir /srv/my project --tags gpu " +
      "--keep-background --state-dir /srv/state",
  );
});

test("restartWords: an executor by its path; a built-in one by its name", () => {
  const given = { "executor-path": "own/ao-own-exec" };
  expect(wordsOf("", given)).toContain("/x/own/ao-own-exec");
  const builtIn = wordsOf("", given, { origin: "built-in", path: null });
  expect(builtIn).toContain("own");
  expect(builtIn).not.toContain("--executor-path");
});

test("restartWords: up has the port that it listens on, and no token", () => {
  const words = wordsOf("up", { port: "0", token: "secret", callbacks: "each" });
  expect(words.slice(0, 5)).toEqual(["up", "--port", "41234", "--callbacks", "each"]);
  expect(words.join(" ")).not.toContain("secret");
  expect(words).not.toContain("--coordinator-url");
});

test("restartLine: quotes for a shell; knows the locks of version 0.1.0, which have no words", () => {
  const holder = {
    coordinatorUrl: "http://c:1",
    hostname: "h",
    projectDir: "/srv/my project",
    executorType: "own",
    pid: 2,
    startedAt: "1",
  };
  const line = "agent-runner --coordinator-url http://c:1 --executor own --project-dir '/srv/my project'";
  expect(restartLine("agent-runner", holder)).toBe(line);
  expect(restartLine("agent-runner", { ...holder, restartWords: ["up", "-t", "a b"] })).toBe(
    "agent-runner up -t 'a b'",
  );
});
