import { expect, test } from "bun:test";
import type { ArgsDef } from "citty";
import { chooseCommand, normaliseArgs } from "../../../src/commands/command-line/choose-command.ts";
import { UserError } from "../../../src/errors.ts";

const ROOT = {
  executor: { type: "string", alias: "x" },
  "project-dir": { type: "string", alias: "p" },
  tags: { type: "string", alias: "t" },
  verbose: { type: "boolean", alias: "v" },
} as const satisfies ArgsDef;
const COMMANDS = ["up", "submit", "runs", "runners"];
const SUBMIT = {
  prompt: { type: "positional", required: true },
  tag: { type: "string" },
  wait: { type: "boolean" },
  limit: { type: "string", valueHint: "N" },
} as const satisfies ArgsDef;

const choose = (...argv: string[]) => chooseCommand(argv, ROOT, COMMANDS);

function faultOf(act: () => unknown): { message: string; hint: string | undefined; exitCode: number } {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError) return { message: error.message, hint: error.hint, exitCode: error.exitCode };
    throw error;
  }
  throw new Error("nothing was wrong");
}

test("chooseCommand: the first word that is neither an option nor its value", () => {
  expect(choose()).toEqual({ name: null, rest: [] });
  expect(choose("up", "-v")).toEqual({ name: "up", rest: ["-v"] });
  expect(choose("-x", "test-executor", "up", "--verbose")).toEqual({
    name: "up",
    rest: ["-x", "test-executor", "--verbose"],
  });
  expect(choose("-v", "up")).toEqual({ name: "up", rest: ["-v"] });
  expect(choose("--executor=up", "runs")).toEqual({ name: "runs", rest: ["--executor=up"] });
});

test("chooseCommand: an option's value with the name of a command is not the command", () => {
  expect(choose("-x", "up")).toEqual({ name: null, rest: ["-x", "up"] });
  expect(choose("--project-dir", "runs")).toEqual({ name: null, rest: ["--project-dir", "runs"] });
});

test("chooseCommand: a word after -- is not the command", () => {
  expect(choose("--", "up")).toEqual({ name: null, rest: ["--", "up"] });
  expect(choose("submit", "--", "runs")).toEqual({ name: "submit", rest: ["--", "runs"] });
});

test("chooseCommand: an unknown command is a usage error with the nearest one", () => {
  expect(faultOf(() => choose("runers"))).toEqual({
    message: "Unknown command: runers",
    hint: "Did you mean runners? See agent-runner --help",
    exitCode: 2,
  });
  expect(faultOf(() => choose("deploy")).hint).toBe("See agent-runner --help");
});

const normalise = (...rest: string[]) => normaliseArgs("submit", rest, SUBMIT);
const normaliseRoot = (...rest: string[]) => normaliseArgs("", rest, ROOT);

test("normaliseArgs: each option as --name=value, positionals last after --", () => {
  expect(normalise("hello", "--limit", "5", "--wait")).toEqual(["--limit=5", "--wait", "--", "hello"]);
  expect(normaliseRoot("-x", "a", "-p=/p", "-v")).toEqual(["--executor=a", "--project-dir=/p", "--verbose"]);
});

test("normaliseArgs: switches take --no-NAME and =true or =false", () => {
  expect(normaliseRoot("--no-verbose")).toEqual(["--no-verbose"]);
  expect(normaliseRoot("--verbose=false")).toEqual(["--no-verbose"]);
  expect(normaliseRoot("--no-verbose=false")).toEqual(["--verbose"]);
  expect(normaliseRoot("-v", "--no-verbose")).toEqual(["--no-verbose"]);
  expect(faultOf(() => normaliseRoot("--verbose=5")).message).toBe("--verbose takes no value");
});

test("normaliseArgs: a value can contain = and can be empty", () => {
  expect(normaliseRoot("--executor=a=b")).toEqual(["--executor=a=b"]);
  expect(normaliseRoot("--executor=")).toEqual(["--executor="]);
});

test("normaliseArgs: the last value of an option wins; tags add up", () => {
  expect(normaliseRoot("-x", "a", "-x", "b")).toEqual(["--executor=b"]);
  expect(normaliseRoot("-t", "a,b", "--tags", "c")).toEqual(["--tags=a,b,c"]);
  expect(normalise("p", "--tag", "a", "--tag=b")).toEqual(["--tag=a,b", "--", "p"]);
});

test("normaliseArgs: a single dash and words after -- are positionals", () => {
  expect(normalise("-")).toEqual(["--", "-"]);
  expect(normalise("--", "--wait")).toEqual(["--", "--wait"]);
});

test("normaliseArgs: an option without its value is a usage error", () => {
  expect(faultOf(() => normalise("p", "--limit"))).toMatchObject({
    message: "--limit needs a value",
    hint: "Write --limit N; see agent-runner submit --help",
    exitCode: 2,
  });
  expect(faultOf(() => normaliseRoot("-x", "--verbose")).message).toBe("-x needs a value");
});

test("normaliseArgs: an unknown option is a usage error with the nearest one", () => {
  expect(faultOf(() => normaliseRoot("--executr", "a"))).toEqual({
    message: "Unknown option: --executr",
    hint: "Did you mean --executor? See agent-runner --help",
    exitCode: 2,
  });
  expect(faultOf(() => normaliseRoot("-z"))).toEqual({
    message: "Unknown option: -z",
    hint: "See agent-runner --help",
    exitCode: 2,
  });
  expect(faultOf(() => normaliseRoot("--no-executor")).message).toBe("Unknown option: --no-executor");
});

test("normaliseArgs: missing and extra positionals are usage errors", () => {
  expect(faultOf(() => normalise())).toEqual({
    message: "PROMPT is missing",
    hint: "See agent-runner submit --help",
    exitCode: 2,
  });
  expect(faultOf(() => normalise("say", "hello"))).toEqual({
    message: "Unexpected word: hello",
    hint: "Put a text of several words in quotes",
    exitCode: 2,
  });
  expect(faultOf(() => normaliseArgs("up", ["x"], ROOT)).hint).toBe("See agent-runner up --help");
});

test("short options can be combined, with a value directly after its letter", () => {
  expect(choose("-vx", "test-executor", "up")).toEqual({ name: "up", rest: ["-v", "-x", "test-executor"] });
  expect(normaliseArgs("", ["-vxtest-executor"], ROOT)).toEqual(["--verbose", "--executor=test-executor"]);
  expect(normaliseArgs("submit", ["--", "-vx"], { ...SUBMIT, ...ROOT })).toEqual(["--", "-vx"]);
  expect(faultOf(() => normaliseArgs("", ["-vz"], ROOT)).message).toBe("Unknown option: -z");
});

test("a switch whose name begins with no- is not the opposite of another option", () => {
  const args = { token: { type: "string" }, "no-token": { type: "boolean" } } as const;
  expect(normaliseArgs("up", ["--no-token"], args)).toEqual(["--noToken=true"]);
  expect(normaliseArgs("up", ["--token", "x"], args)).toEqual(["--token=x"]);
});
