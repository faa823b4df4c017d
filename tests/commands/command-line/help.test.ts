import { expect, test } from "bun:test";
import { COMMANDS, rootCommand } from "../../../src/commands/command-table.ts";
import { renderHelp } from "../../../src/commands/command-line/help.ts";

const plain = { commands: [], colours: false, width: 80 };
const summaries = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const);

test("renderHelp: the root names every command, every option with its letter, examples and exit codes", () => {
  const text = renderHelp(rootCommand, { ...plain, commands: summaries });
  for (const name of Object.keys(COMMANDS)) expect(text).toContain(`\n  ${name}  `);
  for (const option of [
    "--coordinator-url, -c URL",
    "--executor, -x NAME",
    "--executor-path, -e PATH",
    "--executor-list, -l",
    "--project-dir, -p DIR",
    "--verbose, -v",
  ]) {
    expect(text).toContain(`  ${option}`);
  }
  for (const part of [
    "USAGE\n  agent-runner [OPTIONS]\n  agent-runner COMMAND [OPTIONS]",
    "EXAMPLES",
    "EXIT CODES",
    "130",
  ])
    expect(text).toContain(part);
});

test("renderHelp: every command loads, and has a description, examples that begin with the program, and options that are described", async () => {
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const command = await load();
    expect(command.name).toBe(name);
    const text = renderHelp(command, plain);
    expect(text).toContain(`agent-runner ${name} [OPTIONS]`);
    expect(command.description.length).toBeGreaterThan(10);
    for (const [line] of command.examples) expect(line).toContain(`agent-runner ${name}`);
    for (const arg of Object.values(command.args)) expect(arg.description ?? "").not.toBe("");
  }
});

test("renderHelp: positionals stand in the usage and under ARGUMENTS", async () => {
  const submit = await COMMANDS["submit"]?.load();
  if (submit === undefined) throw new Error("no submit");
  const text = renderHelp(submit, plain);
  expect(text).toContain("USAGE\n  agent-runner submit [OPTIONS] PROMPT\n");
  expect(text).toMatch(/ARGUMENTS\n {2}PROMPT {2}\S/);
  expect(text).not.toContain("EXIT CODES");
});

test("renderHelp: descriptions are wrapped to the terminal, in their column", () => {
  const words = { type: "boolean", description: "word ".repeat(40).trim() } as const;
  const text = renderHelp(
    { ...rootCommand, args: { flag: words, "a-flag-whose-name-is-longer-than-its-column": words }, examples: [] },
    plain,
  );
  const lines = text
    .slice(text.indexOf("OPTIONS"))
    .split("\n")
    .filter((line) => line.includes("word"));
  expect(lines.length).toBeGreaterThan(6);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  expect(new Set(lines.map((line) => line.indexOf("word")))).toEqual(new Set([32]));
});

test("renderHelp: colours only where they are wanted", () => {
  expect(renderHelp(rootCommand, plain)).not.toContain("\x1b");
  expect(renderHelp(rootCommand, { ...plain, colours: true })).toContain("\x1b[1mOPTIONS\x1b[0m");
});
