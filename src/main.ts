import { Output } from "./commands/terminal/output.ts";
import { ExitCode, UserError } from "./errors.ts";
import { commit, version } from "./version.ts";

/**
 * From what was typed to an exit code. What only some of it needs is loaded by those: an executor that is built in is started a run. Not even
 * a module of node's is imported here: each of them takes milliseconds.
 */
async function main(words: readonly string[]): Promise<number> {
  if (words[0] === "exec-builtin") return execBuiltIn(words.slice(1));
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

const stdout = new Output(() => Bun.stdout.writer());
const stderr = new Output(() => Bun.stderr.writer());

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
  stderr.write(
    `agent-runner: unexpected error, please report it:\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return ExitCode.failed;
}

const exitCode = await main(process.argv.slice(2)).catch(tell);
// What was written may still be on its way into a pipe.
await Promise.all([stdout.end(), stderr.end()]);
process.exit(exitCode === ExitCode.ok && (stdout.isDiskFull || stderr.isDiskFull) ? ExitCode.failed : exitCode);
