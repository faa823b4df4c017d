import type { ArgsDef } from "citty";
import type { Environment } from "../../config/environment.ts";
import type { Flags } from "../../config/load-config.ts";

/** The process that a command runs in. */
export interface CommandContext {
  readonly env: Environment;
  /** The words that call this program in the user's terminal, for hints: `agent-runner`, `dist/agent-runner`. */
  readonly program: () => string;
  /** Writes text to stdout. On a terminal it cannot control the terminal; elsewhere it is as it is. */
  readonly write: (text: string) => void;
  /** Writes this program's own colours and sequences to stdout, and text that is harmless already. */
  readonly draw: (text: string) => void;
  /** Writes a line to stdout, as `write`: the result of the command. */
  readonly print: (text: string) => void;
  /** Writes a line to stderr, as `write`: anything that is not the result. */
  readonly note: (text: string) => void;
  /** False once stdout is closed by its reader (`| head`). */
  readonly hasReader: () => boolean;
  /** stdout is a terminal. */
  readonly isTerminal: boolean;
  /** Ends the process at once, after the third interrupt. */
  readonly exitNow: (code: number) => never;
}

/** One command: the arguments that citty parses, its help, and its action. */
export interface Command {
  readonly name: string;
  /** One sentence. */
  readonly description: string;
  /** Each description is one line. */
  readonly args: ArgsDef;
  /** Anything longer than a line: one paragraph each. */
  readonly notes?: readonly string[];
  /** Command lines, each with its effect. */
  readonly examples: readonly (readonly [commandLine: string, effect: string])[];
  /** Resolves to the exit code. */
  readonly run: (args: CommandArgs, context: CommandContext) => Promise<number>;
}

/** The parsed command line: options and positionals by name. */
export type CommandArgs = Flags;
