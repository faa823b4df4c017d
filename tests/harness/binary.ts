import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { until } from "./until.ts";
import { GATE_MARK } from "./gate-mark.ts";

const ROOT = resolve(import.meta.dir, "../..");
/** AGENT_RUNNER_BINARY selects another build than the one in dist. */
export const BINARY =
  process.env["AGENT_RUNNER_BINARY"] ??
  join(ROOT, "dist", process.platform === "win32" ? "agent-runner.exe" : "agent-runner");

/** A process of the compiled binary, with its output so far. */
export interface StartedBinary extends AsyncDisposable {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves to the exit code, or to -1 if a signal ended the process. */
  readonly exited: Promise<number>;
  signal(signal: NodeJS.Signals): void;
  /** Closes the reading end of stdout. */
  closeStdout(): Promise<void>;
  /** Waits for a matching line on stdout, and returns the match. */
  line(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray>;
}

export interface StartOptions {
  readonly cwd: string;
  /** Holds HOME and all state, so that the user's own files stay untouched. */
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** The limit for open files. */
  readonly maxDescriptors?: number;
  /** Commands of the shell that becomes the program: `trap '' HUP`. */
  readonly shell?: string;
}

/** Starts the compiled binary. Disposing kills it if it still lives: `await using runner = startBinary(...)`. */
export function startBinary(args: readonly string[], options: StartOptions): StartedBinary {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: bun run build`);
  const before = options.maxDescriptors === undefined ? options.shell : `ulimit -n ${options.maxDescriptors}`;
  const shell = before === undefined ? [] : ["/bin/sh", "-c", `${before}; exec "$@"`, "sh"];
  const child = Bun.spawn([...shell, BINARY, ...args], {
    cwd: options.cwd,
    env: {
      ...GATE_MARK,
      PATH: process.env["PATH"] ?? "",
      HOME: options.home,
      XDG_STATE_HOME: join(options.home, "state"),
      XDG_CONFIG_HOME: join(options.home, "config"),
      XDG_DATA_HOME: join(options.home, "data"),
      ...options.env,
    },
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const exited = Promise.all([child.exited, stdout.done, stderr.done]).then(() => child.exitCode ?? -1);
  return {
    pid: child.pid,
    stdout: stdout.text,
    stderr: stderr.text,
    exited,
    signal: (signal) => child.kill(signal),
    closeStdout: stdout.close,
    async line(pattern, deadlineMs) {
      return until(
        () => `a line like ${pattern} on stdout, which has:\n${stdout.text()}\nstderr:\n${stderr.text()}`,
        () => pattern.exec(stdout.text()),
        deadlineMs,
      );
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Runs the compiled binary to its end. */
export async function runBinary(
  args: readonly string[],
  options: StartOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  await using started = startBinary(args, options);
  const code = await started.exited;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

function collect(stream: ReadableStream<Uint8Array>): {
  text: () => string;
  done: Promise<void>;
  close: () => Promise<void>;
} {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let text = "";
  const read = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
    }
  };
  return { text: () => text, done: read(), close: () => reader.cancel() };
}
