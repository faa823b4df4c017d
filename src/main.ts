import { Output } from "./commands/terminal/output.ts";
import { ExitCode, UserError } from "./errors.ts";
import { commit, version } from "./version.ts";

/**
 * Turns the command line into an exit code. Loads everything lazily and imports no Node module: a built-in executor
 * starts with every run, and each module costs milliseconds.
 */
async function main(words: readonly string[]): Promise<number> {
  if (words[0] === "exec-builtin") return execBuiltIn(words.slice(1));
  if (words[0] === "check-database") return checkDatabase(words[1] ?? "");
  if (words[0] === "end-abandoned") return endAbandoned(words.slice(1));
  if (words[0] === "exec-become") return (await import("./process/environment/become.ts")).become(words.slice(1));
  if (words.length === 1 && words[0] === "--version") return printVersion();
  const [{ programContext }, { runCommandLine }] = await Promise.all([
    import("./commands/program-context.ts"),
    import("./commands/run-command-line.ts"),
  ]);
  return runCommandLine(
    words,
    programContext(stdout, stderr, (code) => process.exit(code)),
    printVersion,
  );
}

const stdout = new Output(1, () => Bun.stdout.writer());
const stderr = new Output(2, () => Bun.stderr.writer());

/** Hidden command: this program starts itself as a built-in executor. */
async function execBuiltIn([name = "", ...rest]: readonly string[]): Promise<number> {
  const { runBuiltIn } = await import("./catalog/built-in.ts");
  return runBuiltIn(name, rest);
}

/** Hidden command: the coordinator starts this program to check its database. */
async function checkDatabase(path: string): Promise<number> {
  const { checkInThisProcess } = await import("./coordinator/store/check-database.ts");
  stdout.draw(checkInThisProcess(path));
  return ExitCode.ok;
}

/** Hidden command: this program's watchdog becomes it (src/process/watchdog.ts). */
async function endAbandoned(words: readonly string[]): Promise<number> {
  const { endAbandonedExecutors } = await import("./commands/end-abandoned.ts");
  return endAbandonedExecutors(words);
}

function printVersion(): number {
  stdout.draw(`agent-runner ${version} (${commit})\n`);
  return ExitCode.ok;
}

function printError(error: unknown): number {
  if (error instanceof UserError) {
    stderr.write(`agent-runner: ${error.message}\n${error.hint === undefined ? "" : `  ${error.hint}\n`}`);
    return error.exitCode;
  }
  stderr.write(
    `agent-runner: unexpected error, please report it:\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return ExitCode.failed;
}

const exitCode = await main(process.argv.slice(2)).catch(printError);
// Waits for output that is still in flight into a pipe.
await Promise.all([stdout.end(), stderr.end()]);
process.exit(exitCode === ExitCode.ok && (stdout.isDiskFull || stderr.isDiskFull) ? ExitCode.failed : exitCode);
