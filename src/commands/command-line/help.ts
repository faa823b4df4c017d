import type { ArgDef } from "citty";
import type { Command } from "./command.ts";

export interface HelpOptions {
  /** Name and summary of each command, for the help of the root; empty for a command. */
  readonly commands: readonly (readonly [name: string, summary: string])[];
  readonly colours: boolean;
  /** Columns of the terminal. */
  readonly width: number;
}

export const EXIT_CODES = [
  ["0", "Success"],
  ["1", "Failure; for submit --wait and logs --follow: the run failed"],
  ["2", "A mistake in the command line or the settings"],
  ["3", "submit --wait and logs --follow: the run was stopped"],
  ["4", "The coordinator did not answer, or was away for longer than --max-offline"],
  ["130", "Interrupted three times"],
] as const;

/** The text of `--help`. */
export function renderHelp(command: Command, options: HelpOptions): string {
  const bold = (text: string): string => (options.colours ? `\x1b[1m${text}\x1b[0m` : text);
  const positionals = Object.entries(command.args).filter(([, arg]) => arg.type === "positional");
  const flags = Object.entries(command.args).filter(([, arg]) => arg.type !== "positional");
  const name = command.name === "" ? "agent-runner" : `agent-runner ${command.name}`;
  const usage = [name, "[OPTIONS]", ...positionals.map(([key]) => key.toUpperCase())].join(" ");
  const sections = [
    command.description,
    `${bold("USAGE")}\n  ${usage}${options.commands.length > 0 ? "\n  agent-runner COMMAND [OPTIONS]" : ""}`,
    section(bold("COMMANDS"), options.commands, options.width),
    section(
      bold("ARGUMENTS"),
      positionals.map(([key, arg]) => [key.toUpperCase(), arg.description ?? ""]),
      options.width,
    ),
    section(
      bold("OPTIONS"),
      flags.map(([key, arg]) => [flagColumn(key, arg), arg.description ?? ""]),
      options.width,
    ),
    notesSection(bold("NOTES"), command.notes ?? [], options.width),
    `${bold("EXAMPLES")}\n${command.examples.map(([line, effect]) => `  ${line}\n      ${effect}`).join("\n")}`,
    options.commands.length > 0 ? section(bold("EXIT CODES"), EXIT_CODES, options.width) : "",
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

function flagColumn(name: string, arg: ArgDef): string {
  const alias = "alias" in arg && typeof arg.alias === "string" ? `, -${arg.alias}` : "";
  const hint = arg.type === "boolean" ? "" : ` ${arg.valueHint ?? "VALUE"}`;
  return `--${name}${alias}${hint}`;
}

function section(title: string, rows: readonly (readonly [string, string])[], width: number): string {
  if (rows.length === 0) return "";
  const column = Math.min(30, Math.max(...rows.map(([left]) => left.length)) + 2);
  const lines = rows.map(([left, right]) => {
    const first = left.length + 2 > column ? `  ${left}\n  ${" ".repeat(column)}` : `  ${left.padEnd(column)}`;
    return first + wrap(right, Math.max(30, width - column - 2)).join(`\n  ${" ".repeat(column)}`);
  });
  return `${title}\n${lines.join("\n")}`;
}

function notesSection(title: string, notes: readonly string[], width: number): string {
  if (notes.length === 0) return "";
  return `${title}\n${notes.map((note) => `  - ${wrap(note, Math.max(30, width - 4)).join("\n    ")}`).join("\n")}`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
