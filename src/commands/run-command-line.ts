import { defineCommand, runCommand } from "citty";
import { bypassProxyForLoopback } from "../config/proxy.ts";
import { ExitCode } from "../errors.ts";
import { chooseCommand, normaliseArgs } from "./command-line/choose-command.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { COMMANDS, rootCommand } from "./command-table.ts";
import { renderHelp } from "./command-line/help.ts";
import { terminalWidth } from "./terminal/table.ts";

/** Chooses the command, parses its arguments and runs it. Resolves to the exit code. */
export async function runCommandLine(
  words: readonly string[],
  context: CommandContext,
  printVersion: () => number,
): Promise<number> {
  const { name, rest } = chooseCommand(withoutHelpCommand(words), rootCommand.args, Object.keys(COMMANDS));
  const command = name === null ? rootCommand : await loadCommand(name);
  const options = rest.slice(0, rest.includes("--") ? rest.indexOf("--") : undefined);
  if (options.includes("--help") || options.includes("-h")) return printHelp(command, context);
  if (options.includes("--version")) return printVersion();

  bypassProxyForLoopback();
  const rawArgs = normaliseArgs(command.name, rest, command.args);
  const { args, run } = command;
  const { result } = await runCommand(
    defineCommand({ args, run: ({ args }) => run(args as Record<string, string | boolean>, context) }),
    { rawArgs },
  );
  return result as number;
}

/** Turns `help [COMMAND]`, which many users type first, into `[COMMAND] --help`. */
function withoutHelpCommand(words: readonly string[]): string[] {
  return words[0] === "help" ? [...words.slice(1), "--help"] : [...words];
}

async function loadCommand(name: string): Promise<Command> {
  const entry = COMMANDS[name];
  if (entry === undefined) throw new Error(`no command ${name}`);
  return entry.load();
}

function printHelp(command: Command, context: CommandContext): number {
  const commands =
    command === rootCommand ? Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const) : [];
  const colours = context.isTerminal && !context.env["NO_COLOR"];
  context.draw(renderHelp(command, { commands, colours, width: terminalWidth(context) ?? 100 }));
  return ExitCode.ok;
}
