import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface StartedExecutor {
  readonly process: Bun.Subprocess;
  stdout(): string;
  stderr(): string;
  /** Resolves to the exit code, or to the name of the signal that ended the executor. */
  readonly ended: Promise<number | string>;
}

export interface StartOptions {
  readonly folder: string;
  readonly apiUrl: string;
  readonly invocation: unknown;
  readonly env?: Record<string, string>;
}

let count = 0;

/** Starts an executor like a runner: stdin, stdout and stderr are files, and the working folder is the project's. */
export function startExecutor(command: readonly string[], options: StartOptions): StartedExecutor {
  const base = join(options.folder, `executor-${count++}`);
  const files = { stdin: `${base}.in`, stdout: `${base}.out`, stderr: `${base}.err` };
  const { invocation } = options;
  writeFileSync(files.stdin, typeof invocation === "string" ? invocation : JSON.stringify(invocation));
  const [stdin, stdout, stderr] = [
    openSync(files.stdin, "r"),
    openSync(files.stdout, "a"),
    openSync(files.stderr, "a"),
  ];
  const child = Bun.spawn([...command], {
    cwd: options.folder,
    env: {
      PATH: process.env["PATH"],
      HOME: options.folder,
      AGENT_ORCHESTRATOR_API_URL: options.apiUrl,
      AGENT_EXECUTOR_STATE_DIR: join(options.folder, "state"),
      AGENT_SESSION_ID: "ses_000000000001",
      ...options.env,
    },
    stdin,
    stdout,
    stderr,
  });
  for (const file of [stdin, stdout, stderr]) closeSync(file);
  return {
    process: child,
    stdout: () => readFileSync(files.stdout, "utf8"),
    stderr: () => readFileSync(files.stderr, "utf8"),
    ended: child.exited.then((code) => child.signalCode ?? code),
  };
}

/** An invocation of schema 2.0. */
export function invocation20(
  prompt: string,
  mode: "start" | "resume" = "start",
  sessionId = "ses_000000000001",
): object {
  return { schema_version: "2.0", mode, session_id: sessionId, prompt };
}
