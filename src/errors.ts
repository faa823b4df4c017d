/** Exit codes of every command, as `agent-runner --help` lists them. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** The run was stopped, not failed. */
  stopped: 3,
  /** `--max-offline` was exceeded, or a client command could not reach its coordinator. */
  unreachable: 4,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the program with a message and no stack trace. `message` says what is wrong, `hint` what to type next. */
export class UserError extends Error {
  override readonly name = "UserError";
  readonly exitCode: number;
  readonly hint: string | undefined;
  constructor(message: string, options: { hint?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? ExitCode.failed;
    this.hint = options.hint;
  }
}

/** A mistake in the command line: exit code 2. */
export function usageError(message: string, hint?: string): UserError {
  return new UserError(message, { exitCode: ExitCode.usage, ...(hint === undefined ? {} : { hint }) });
}

/** The message of a thrown value, for a log line. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}

/** The errno-like code (`ENOENT`, `ECONNREFUSED`, ...) of an error or of its causes. */
export function errorCode(error: unknown): string | undefined {
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) {
    if ("code" in e && typeof e.code === "string") return e.code;
  }
  return undefined;
}

/** Shortens text of unknown length from outside, for a message. */
export function clip(text: string, longest = 200): string {
  return text.length > longest ? `${text.slice(0, longest)}...` : text;
}
