import { realpathSync } from "node:fs";
import { isAbsolute, relative, sep } from "node:path";
import type { Environment } from "../../config/environment.ts";
import { shellWord } from "../../shell-word.ts";

export interface ProgramCallOptions {
  /** The program's file; in development the one that Bun runs. */
  readonly file: string;
  /** Null for the compiled program, which needs no Bun. */
  readonly bun: string | null;
  readonly cwd: string;
  readonly env: Environment;
}

/**
 * The words that call this program from the user's current folder: `agent-runner` where PATH has it, else a path. The
 * path is absolute outside the current folder, and where npm was started in another folder (INIT_CWD).
 */
export function programCall(options: ProgramCallOptions): string {
  const { file, bun, cwd, env } = options;
  if (bun !== null) return `${bun} ${shellWord(shortPath(options))}`;
  const onPath = Bun.which("agent-runner", { PATH: env["PATH"] ?? "", cwd });
  return onPath !== null && realpathSync(onPath) === realpathSync(file)
    ? "agent-runner"
    : shellWord(shortPath(options));
}

export function thisProgram(env: Environment): ProgramCallOptions {
  return Bun.isStandaloneExecutable
    ? { file: process.execPath, bun: null, cwd: process.cwd(), env }
    : { file: Bun.main, bun: "bun", cwd: process.cwd(), env };
}

function shortPath({ file, cwd, env }: ProgramCallOptions): string {
  const fromHere = relative(cwd, file);
  const isElsewhere = fromHere.startsWith("..") || isAbsolute(fromHere);
  if (isElsewhere || (env["INIT_CWD"] || cwd) !== cwd) return file;
  // A shell searches PATH alone for a name without a separator.
  return fromHere.includes(sep) ? fromHere : `.${sep}${fromHere}`;
}
