import type { CommandModel } from "./command-model.ts";
import { EXIT_CODES } from "../command-line/help.ts";

/** The manual page agent-runner(1), in mdoc(7)'s elder sister man(7), from the same tables as `--help`. `commands` begins with the root command. */
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
    "Without a command it is the runner. Settings come from flags, the environment, and a TOML file, in this order.",
    ".SH OPTIONS OF THE RUNNER",
    ...(root === undefined ? [] : optionLines(root)),
    ".SH COMMANDS",
    ...others.flatMap((command) => [
      `.SS ${["agent\\-runner", escape(command.name), ...command.positionals.map(({ name }) => `\\fI${escape(name.toUpperCase())}\\fR`)].join(" ")}`,
      escape(command.description),
      ...command.positionals.flatMap(({ name, description }) => [
        ".TP",
        `\\fI${escape(name.toUpperCase())}\\fR`,
        escape(description),
      ]),
      ...optionLines(command),
    ]),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([code, what]) => [".TP", `.B ${code}`, escape(what)]),
    ".SH EXAMPLES",
    ...commands.flatMap(({ examples }) =>
      examples.flatMap(([line, what]) => [".TP", `.B ${escape(line)}`, escape(what)]),
    ),
    ".SH FILES",
    ".TP",
    "\\fI~/.config/agent\\-runner/config.toml\\fR",
    "settings",
    ".TP",
    "\\fI~/.local/state/agent\\-runner\\fR",
    "runs, journals and the database of the embedded coordinator",
  ];
  return `${lines.join("\n")}\n`;
}

function optionLines({ options }: CommandModel): string[] {
  return options.flatMap(({ long, short, value, description }) => {
    const names = [long, ...(short === null ? [] : [short])].map((name) => `\\fB${escape(name)}\\fR`).join(", ");
    return [".TP", `${names}${value === null ? "" : ` \\fI${escape(value.hint)}\\fR`}`, escape(description)];
  });
}

/** A line of text: nothing in it is a request or an escape. */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(['.])/, "\\&$1");
}
