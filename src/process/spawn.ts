import { accessSync, closeSync, constants, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import { hasInterpreter, inspectFile } from "./inspect-file.ts";
import { processStartTime } from "./process-table.ts";
import { RunOutput } from "./run-output.ts";
import { type ExitStatus, statusOfCode, statusOfSignal, underShim } from "./shim.ts";

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

/** A started executor, under its shim: one session and process group. `pid` is that of their leader. */
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

/** Where the exit status of a run's executor is written. */
export function statusFileOf(runFolder: string): string {
  return join(runFolder, "exit");
}

export type Spawned =
  | { readonly kind: "started"; readonly process: ExecutorProcess }
  | { readonly kind: "not-started"; readonly reason: string };

/**
 * Starts an executor without a single pipe: stdin is a file of mode 0600 that is unlinked once it is open, stdout and stderr are
 * append-mode files. Nothing that the executor does or leaves undone can stall the runner, and a runner that dies takes no output away.
 */
export function spawnExecutor(request: SpawnRequest): Spawned {
  const fault = folderFault(request.projectDir) ?? programFault(request);
  if (fault !== null) return { kind: "not-started", reason: fault };
  let stdin: number | undefined;
  const outputs: RunOutput[] = [];
  try {
    rmSync(statusFileOf(request.runFolder), { force: true });
    stdin = openUnlinked(join(request.runFolder, "stdin"), request.stdin);
    const stdout = new RunOutput(join(request.runFolder, "stdout"), request.outputLimitBytes);
    outputs.push(stdout);
    const stderr = new RunOutput(join(request.runFolder, "stderr"), request.outputLimitBytes);
    outputs.push(stderr);
    return { kind: "started", process: start(request, stdin, stdout, stderr) };
  } catch (error) {
    for (const output of outputs) output.close();
    return { kind: "not-started", reason: spawnFault(error) };
  } finally {
    if (stdin !== undefined) closeSync(stdin);
  }
}

function start(request: SpawnRequest, stdin: number, stdout: RunOutput, stderr: RunOutput): ExecutorProcess {
  const exit = Promise.withResolvers<ExitStatus>();
  let ended = false;
  const isShimmed = process.platform !== "win32";
  const command = isShimmed ? underShim(request.command, statusFileOf(request.runFolder)) : [...request.command];
  const child = Bun.spawn(command, {
    cwd: request.projectDir,
    env: { ...request.env },
    stdin,
    stdout: stdout.fd,
    stderr: stderr.fd,
    detached: true,
    windowsHide: true,
    onExit(_child, code, signal) {
      ended = true;
      exit.resolve(signal === null ? statusOfCode(code ?? 1) : statusOfSignal(signal));
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

/** What the system would say to the program. Asked before the shim is started, which could only tell it as an exit code. */
function programFault({ command, env }: SpawnRequest): string | null {
  const [program = ""] = command;
  if (process.platform === "win32") return null;
  const path = program.includes("/") ? program : (Bun.which(program, { PATH: env["PATH"] ?? "" }) ?? "");
  const file = inspectFile(path);
  if (file.kind === "missing" || (file.kind === "script" && !hasInterpreter(file.interpreter, env["PATH"] ?? ""))) {
    return notStarted(`${program} (or the interpreter that it names) was not found`);
  }
  if (!("runnable" in file) || !file.runnable) return notStarted(`${program} may not be executed`);
  return file.kind === "text" ? notStarted(`${program} is neither a program nor a script that begins with #!`) : null;
}

function spawnFault(error: unknown): string {
  return notStarted(describeError(error));
}

function notStarted(why: string): string {
  return `The executor could not be started: ${why}`;
}
