import type { ArgsDef } from "citty";
import type { Environment } from "../../config/environment.ts";
import type { Flags } from "../../config/load-config.ts";

/** What a command may use of the process it runs in. */
export interface CommandContext {
  readonly env: Environment;
  /** To stdout, as it is. */
  readonly write: (text: string) => void;
  /** A line to stdout: what the command was asked for. */
  readonly print: (text: string) => void;
  /** A line to stderr: what a person may want to know beside it. */
  readonly note: (text: string) => void;
  /** False once nobody reads stdout any more (`| head`). */
  readonly hasReader: () => boolean;
  /** stdout is a terminal. */
  readonly isTerminal: boolean;
  /** Ends the process at once; for a user who has interrupted three times. */
  readonly exitNow: (code: number) => never;
}

/** One command: what citty parses, what help shows, what is done. Resolves to the exit code. */
export interface Command {
  readonly name: string;
  readonly description: string;
  readonly args: ArgsDef;
  /** Command lines with what each does. */
  readonly examples: readonly (readonly [commandLine: string, what: string])[];
  readonly run: (args: CommandArgs, context: CommandContext) => Promise<number>;
}

/** What was typed: flags by their long name, positionals by theirs. */
export type CommandArgs = Flags;

export function textArg(args: CommandArgs, name: string): string | undefined {
  const value = args[name];
  return typeof value === "string" ? value : undefined;
}
