import { argv, exit, stderr, stdout } from "node:process";
import { defineCommand, runCommand } from "citty";
import { chooseCommand, normaliseArgs } from "./commands/choose-command.ts";
import type { Command, CommandContext } from "./commands/command.ts";
import { COMMANDS, rootCommand } from "./commands/command-table.ts";
import { renderHelp } from "./commands/help.ts";
import { bypassProxyForLoopback, processEnvironment } from "./config/environment.ts";
import { errorCode, ExitCode, UserError } from "./errors.ts";
import { commit, version } from "./version.ts";

/** From what was typed to an exit code: choose the command, parse for it, run it. */
async function main(words: readonly string[]): Promise<number> {
  if (words[0] === "exec-builtin") return execBuiltIn(words.slice(1));
  if (words.length === 1 && words[0] === "--version") return printVersion();
  const { name, rest } = chooseCommand(wordsOfHelp(words), rootCommand.args, Object.keys(COMMANDS));
  const command = name === null ? rootCommand : await loadCommand(name);
  const options = rest.slice(0, rest.includes("--") ? rest.indexOf("--") : undefined);
  if (options.includes("--help") || options.includes("-h")) return printHelp(command);
  if (options.includes("--version")) return printVersion();

  bypassProxyForLoopback();
  const rawArgs = normaliseArgs(command.name, rest, command.args);
  const { args, run } = command;
  const { result } = await runCommand(defineCommand({ args, run: ({ args }) => run(args as Record<string, string | boolean>, context) }), { rawArgs });
  return result as number;
}

const context: CommandContext = {
  env: processEnvironment(),
  print: (text) => void stdout.write(`${text}\n`),
  note: (text) => void stderr.write(`${text}\n`),
  isTerminal: stdout.isTTY === true,
  exitNow: (code) => exit(code),
};

/** `agent-runner help [COMMAND]` is what many type first. */
function wordsOfHelp(words: readonly string[]): string[] {
  return words[0] === "help" ? [...words.slice(1), "--help"] : [...words];
}

async function loadCommand(name: string): Promise<Command> {
  const entry = COMMANDS[name];
  if (entry === undefined) throw new Error(`no command ${name}`);
  return entry.load();
}

/** Hidden: a built-in executor, started by this program itself. It gets no further than the executor. */
async function execBuiltIn([name = "", ...rest]: readonly string[]): Promise<number> {
  const { runBuiltIn } = await import("./catalog/built-in.ts");
  return runBuiltIn(name, rest);
}

function printVersion(): number {
  stdout.write(`agent-runner ${version} (${commit})\n`);
  return ExitCode.ok;
}

function printHelp(command: Command): number {
  const commands = command === rootCommand ? Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const) : [];
  const colours = stdout.isTTY === true && !context.env["NO_COLOR"];
  stdout.write(renderHelp(command, { commands, colours, width: stdout.columns ?? 100 }));
  return ExitCode.ok;
}

function tell(error: unknown): number {
  if (error instanceof UserError) {
    stderr.write(`agent-runner: ${error.message}\n${error.hint === undefined ? "" : `  ${error.hint}\n`}`);
    return error.exitCode;
  }
  stderr.write(`agent-runner: unexpected error, please report it:\n${error instanceof Error ? error.stack : String(error)}\n`);
  return ExitCode.failed;
}

// A reader that goes away (`| head`) is no fault of ours; nothing more can be written then.
let isDiskFull = false;
const unwritable = [stdout, stderr].map(
  (stream) =>
    new Promise<void>((resolve) =>
      stream.on("error", (error) => {
        isDiskFull ||= errorCode(error) === "ENOSPC";
        resolve();
      }),
    ),
);
const exitCode = await main(argv.slice(2)).catch(tell);
// What was written may still be on its way into a pipe. (The callback of an empty write would not wait for it.)
const written = [stdout, stderr].map((stream) => new Promise<void>((resolve) => stream.end(() => resolve())));
await Promise.all(written.map((end, i) => Promise.race([end, unwritable[i]])));
exit(exitCode === ExitCode.ok && isDiskFull ? ExitCode.failed : exitCode);
