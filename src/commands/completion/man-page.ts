import type { CommandModel } from "./command-model.ts";
import { EXIT_CODES } from "../command-line/help.ts";

/**
 * The manual page agent-runner(1) as man(7), from the same tables as `--help`. `commands` starts with the root command.
 */
export function manPage(commands: readonly CommandModel[], version: string): string {
  const [root, ...others] = commands;
  const lines = [
    `.TH AGENT-RUNNER 1 "" "agent-runner ${version}" "User Commands"`,
    ".SH NAME",
    "agent\\-runner \\- runs AI agents unattended",
    ".SH SYNOPSIS",
    ".B agent\\-runner",
    "[\\fIOPTIONS\\fR]",
    ".br",
    ".B agent\\-runner",
    "\\fICOMMAND\\fR [\\fIOPTIONS\\fR]",
    ".SH DESCRIPTION",
    escape(root?.description ?? ""),
    "Without a command it is the runner.",
    ".SH OPTIONS OF THE RUNNER",
    ...(root === undefined ? [] : optionLines(root)),
    ".SH NOTES",
    ...(root === undefined ? [] : noteLines(root)),
    ".SH COMMANDS",
    ...others.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([code, meaning]) => [".TP", `.B ${code}`, escape(meaning)]),
    ".SH EXAMPLES",
    ...commands.flatMap(({ examples }) =>
      examples.flatMap(([line, effect]) => [".TP", `.B ${escape(line)}`, escape(effect)]),
    ),
    ".SH FILES",
    ".TP",
    "\\fI~/.config/agent\\-runner/config.toml\\fR",
    "Settings",
    ".TP",
    "\\fI~/.local/state/agent\\-runner\\fR",
    "Runs, journals and the database of the built\\-in coordinator",
  ];
  return `${lines.join("\n")}\n`;
}

function commandLines(command: CommandModel): string[] {
  const positionals = command.positionals.map(({ name, description }) => ({
    word: `\\fI${escape(name.toUpperCase())}\\fR`,
    description,
  }));
  return [
    `.SS ${["agent\\-runner", escape(command.name), ...positionals.map(({ word }) => word)].join(" ")}`,
    escape(command.description),
    ...positionals.flatMap(({ word, description }) => [".TP", word, escape(description)]),
    ...optionLines(command),
    ...noteLines(command),
  ];
}

function noteLines({ notes }: CommandModel): string[] {
  return notes.flatMap((note) => [".IP \\(bu 2", escape(note)]);
}

function optionLines({ options }: CommandModel): string[] {
  return options.flatMap(({ long, short, value, description }) => {
    const names = [long, ...(short === null ? [] : [short])].map((name) => `\\fB${escape(name)}\\fR`).join(", ");
    return [".TP", `${names}${value === null ? "" : ` \\fI${escape(value.hint)}\\fR`}`, escape(description)];
  });
}

/** Escapes a line of text, so that nothing in it is a request of man(7). */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(['.])/, "\\&$1");
}
