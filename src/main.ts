import { fstatSync } from "node:fs";
import { argv, exit } from "node:process";
import type { CommandContext } from "./commands/command.ts";
import { Output } from "./commands/output.ts";
import { processEnvironment } from "./config/environment.ts";
import { ExitCode, UserError } from "./errors.ts";
import { commit, version } from "./version.ts";

/** From what was typed to an exit code. What only some of it needs is loaded by those: an executor that is built in is started a run. */
async function main(words: readonly string[]): Promise<number> {
  if (words[0] === "exec-builtin") return execBuiltIn(words.slice(1));
  if (words.length === 1 && words[0] === "--version") return printVersion();
  const { runCommandLine } = await import("./commands/run-command-line.ts");
  return runCommandLine(words, context, printVersion);
}

const stdout = new Output(() => Bun.stdout.writer());
const stderr = new Output(() => Bun.stderr.writer());

const context: CommandContext = {
  env: processEnvironment(),
  write: (text) => stdout.write(text),
  print: (text) => stdout.write(`${text}\n`),
  note: (text) => stderr.write(`${text}\n`),
  hasReader: () => stdout.hasReader,
  isTerminal: isTerminal(),
  exitNow: (code) => exit(code),
};

/** Whether stdout is one. Asked of node's stream, which is costly, only where it may be. */
function isTerminal(): boolean {
  try {
    return fstatSync(1).isCharacterDevice() && process.stdout.isTTY === true;
  } catch {
    // It is closed.
    return false;
  }
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

function tell(error: unknown): number {
  if (error instanceof UserError) {
    stderr.write(`agent-runner: ${error.message}\n${error.hint === undefined ? "" : `  ${error.hint}\n`}`);
    return error.exitCode;
  }
  stderr.write(`agent-runner: unexpected error, please report it:\n${error instanceof Error ? error.stack : String(error)}\n`);
  return ExitCode.failed;
}

const exitCode = await main(argv.slice(2)).catch(tell);
// What was written may still be on its way into a pipe.
await Promise.all([stdout.end(), stderr.end()]);
exit(exitCode === ExitCode.ok && (stdout.isDiskFull || stderr.isDiskFull) ? ExitCode.failed : exitCode);
