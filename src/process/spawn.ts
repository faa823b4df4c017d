import { accessSync, closeSync, constants, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import { processStartTime } from "./process-table.ts";
import { RunOutput } from "./run-output.ts";

export interface SpawnRequest {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The working folder; it has to exist. */
  readonly projectDir: string;
  /** What the executor reads on its stdin. */
  readonly stdin: string;
  /** An existing folder of the run's own, 0700. */
  readonly runFolder: string;
  readonly outputLimitBytes: number;
}

/** How a process ended: exactly one of the two is not null. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A started executor: leader of its own session and process group. */
export interface ExecutorProcess {
  readonly pid: number;
  readonly startedAt: string;
  readonly exited: Promise<ExitStatus>;
  readonly stdout: RunOutput;
  readonly stderr: RunOutput;
  /** Signals the whole group; nothing happens once the leader has ended. */
  signalGroup(signal: "SIGTERM" | "SIGKILL"): void;
  /** Gives the output files' descriptors back. */
  close(): void;
}

export type Spawned =
  | { readonly kind: "started"; readonly process: ExecutorProcess }
  | { readonly kind: "not-started"; readonly reason: string };

/**
 * Starts an executor without a single pipe: stdin is a file of mode 0600 that is unlinked once it is open, stdout and stderr are
 * append-mode files. Nothing that the executor does or leaves undone can stall the runner, and a runner that dies takes no output away.
 */
export function spawnExecutor(request: SpawnRequest): Spawned {
  const fault = folderFault(request.projectDir);
  if (fault !== null) return { kind: "not-started", reason: fault };
  let stdin: number | undefined;
  const outputs: RunOutput[] = [];
  try {
    stdin = openUnlinked(join(request.runFolder, "stdin"), request.stdin);
    const stdout = new RunOutput(join(request.runFolder, "stdout"), request.outputLimitBytes);
    outputs.push(stdout);
    const stderr = new RunOutput(join(request.runFolder, "stderr"), request.outputLimitBytes);
    outputs.push(stderr);
    return { kind: "started", process: start(request, stdin, stdout, stderr) };
  } catch (error) {
    for (const output of outputs) output.close();
    return { kind: "not-started", reason: spawnFault(error, request.command) };
  } finally {
    if (stdin !== undefined) closeSync(stdin);
  }
}

function start(request: SpawnRequest, stdin: number, stdout: RunOutput, stderr: RunOutput): ExecutorProcess {
  const exit = Promise.withResolvers<ExitStatus>();
  let ended = false;
  const child = Bun.spawn([...request.command], {
    cwd: request.projectDir,
    env: { ...request.env },
    stdin,
    stdout: stdout.fd,
    stderr: stderr.fd,
    detached: true,
    windowsHide: true,
    onExit(_child, code, signal) {
      ended = true;
      exit.resolve(signal === null ? { code, signal: null } : { code: null, signal: signalName(signal) });
    },
  });
  return {
    pid: child.pid,
    startedAt: processStartTime(child.pid) ?? "",
    exited: exit.promise,
    stdout,
    stderr,
    signalGroup(signal) {
      // Once the leader is gone its number may be given to others.
      if (!ended) signalTree(child.pid, signal);
    },
    close() {
      stdout.close();
      stderr.close();
    },
  };
}

function signalTree(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    if (process.platform === "win32") {
      // No groups and no SIGTERM there: taskkill asks the tree first, and /F ends it.
      const force = signal === "SIGKILL" ? ["/F"] : [];
      Bun.spawn(["taskkill", "/T", ...force, "/PID", String(pid)], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    } else {
      process.kill(-pid, signal);
    }
  } catch {
    // It ended a moment ago; its exit event is on the way.
  }
}

function openUnlinked(path: string, content: string): number {
  writeFileSync(path, content, { mode: 0o600, flag: "wx" });
  try {
    return openSync(path, constants.O_RDONLY);
  } finally {
    rmSync(path, { force: true });
  }
}

function folderFault(path: string): string | null {
  try {
    if (!statSync(path).isDirectory()) return `The project directory is not a folder: ${path}`;
    accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    const missing = errorCode(error) === "ENOENT";
    return missing ? `The project directory does not exist: ${path}` : `The project directory cannot be used: ${describeError(error)}`;
  }
}

function spawnFault(error: unknown, command: readonly string[]): string {
  switch (errorCode(error)) {
    case "ENOENT":
      return `The executor could not be started: ${command[0]} (or the interpreter that it names) was not found`;
    case "EACCES":
      return `The executor could not be started: ${command[0]} may not be executed`;
    case "ENOEXEC":
      return `The executor could not be started: ${command[0]} is neither a program nor a script that begins with #!`;
    default:
      return `The executor could not be started: ${describeError(error)}`;
  }
}

const SIGNAL_NUMBERS: Readonly<Record<number, NodeJS.Signals>> = { 1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM" };

function signalName(signal: number | NodeJS.Signals): NodeJS.Signals {
  return typeof signal === "string" ? signal : (SIGNAL_NUMBERS[signal] ?? (`signal ${signal}` as NodeJS.Signals));
}
