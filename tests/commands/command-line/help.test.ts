import { expect, test } from "bun:test";
import { COMMANDS, rootCommand } from "../../../src/commands/command-table.ts";
import { renderHelp } from "../../../src/commands/command-line/help.ts";

const plain = { commands: [], colours: false, width: 80 };
const summaries = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const);

test("renderHelp: the root lists commands, options with their letters, examples and exit codes", () => {
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

test("renderHelp: every command loads, describes its options, and starts its examples with the program", async () => {
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

const DESCRIBED = [["", rootCommand], ...Object.entries(COMMANDS)] as const;
test.each(DESCRIBED)(
  "--help of %p: one line per description, notes in short paragraphs, two examples",
  async (_, entry) => {
    const { description, args, notes = [], examples } = "load" in entry ? await entry.load() : entry;
    const lines = Object.values(args).map((arg) => arg.description ?? "");
    for (const line of [description, ...lines]) {
      expect(line.length).toBeLessThanOrEqual(100);
      expect(line).not.toMatch(/\. [A-Z]/);
    }
    for (const note of notes) expect(note.split(". ").length).toBeLessThanOrEqual(2);
    expect(examples.length).toBeGreaterThanOrEqual(2);
  },
);

test("renderHelp: notes are a wrapped list between options and examples", () => {
  const text = renderHelp({ ...rootCommand, notes: ["word ".repeat(30).trim(), "last"] }, plain);
  const [, notes = ""] = /\n\nNOTES\n([^]*?)\n\nEXAMPLES\n/.exec(text) ?? [];
  expect(notes.split("\n")).toEqual([
    `  - ${"word ".repeat(15).trim()}`,
    `    ${"word ".repeat(15).trim()}`,
    "  - last",
  ]);
  expect(renderHelp({ ...rootCommand, notes: [] }, plain)).not.toContain("NOTES");
});

test("renderHelp: positionals stand in the usage and under ARGUMENTS", async () => {
  const submit = await COMMANDS["submit"]?.load();
  if (submit === undefined) throw new Error("no submit");
  const text = renderHelp(submit, plain);
  expect(text).toContain("USAGE\n  agent-runner submit [OPTIONS] PROMPT\n");
  expect(text).toMatch(/ARGUMENTS\n {2}PROMPT {2}\S/);
  expect(text).not.toContain("EXIT CODES");
});

test("renderHelp: descriptions are wrapped in their column", () => {
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

test("renderHelp: colours on request only", () => {
  expect(renderHelp(rootCommand, plain)).not.toContain("\x1b");
  expect(renderHelp(rootCommand, { ...plain, colours: true })).toContain("\x1b[1mOPTIONS\x1b[0m");
});
