import { accessSync, closeSync, constants, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import { hasInterpreter, inspectFile } from "./inspect-file.ts";
import { processStartTime } from "./process-table.ts";
import { RunOutput } from "./output/run-output.ts";
import { type ExitStatus, NO_STATUS, statusOfCode, statusOfSignal, underShim } from "./shim.ts";
import { isShortage } from "./shortage.ts";
import { startMarkOf } from "./start-mark.ts";

export interface SpawnRequest {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The working folder, which must exist. */
  readonly projectDir: string;
  /** The text that the executor reads from its stdin. */
  readonly stdin: string;
  /** An existing folder of the run, mode 0700. */
  readonly runFolder: string;
  readonly outputLimitBytes: number;
}

/** A started executor under its shim: one session and process group, led by `pid`. */
export interface ExecutorProcess {
  readonly pid: number;
  /** Empty if the start time could not be read. */
  readonly startedAt: string;
  /** Its age when the watch began; 0 for an executor that was just started. */
  readonly ageMs: number;
  readonly exited: Promise<ExitStatus>;
  readonly stdout: RunOutput;
  readonly stderr: RunOutput;
  /** Signals the whole group; does nothing once the leader has ended. */
  signalGroup(signal: "SIGTERM" | "SIGKILL"): void;
  /** Closes the output files. */
  close(): void;
}

/** The file that receives the exit status of a run's executor. */
export function statusFileOf(runFolder: string): string {
  return join(runFolder, "exit");
}

export type Spawned =
  | { readonly kind: "started"; readonly process: ExecutorProcess }
  | { readonly kind: "not-started"; readonly reason: string };

/**
 * Starts an executor without pipes: stdin is a file of mode 0600 that is unlinked once it is open, stdout and stderr
 * are append-mode files. So the executor cannot stall the runner, and no output is lost if the runner dies. `cgroup`
 * is the run's cgroup, if it has one. Throws on a shortage (`isShortage`), and has started nothing then.
 */
export function spawnExecutor(request: SpawnRequest, cgroup: string | null = null): Spawned {
  const fault = folderFault(request.projectDir) ?? programFault(request);
  if (fault !== null) return { kind: "not-started", reason: fault };
  let stdin: number | undefined;
  const outputs: RunOutput[] = [];
  try {
    writeFileSync(statusFileOf(request.runFolder), NO_STATUS, { mode: 0o600 });
    stdin = openUnlinked(join(request.runFolder, "stdin"), request.stdin);
    const stdout = new RunOutput(join(request.runFolder, "stdout"), request.outputLimitBytes);
    outputs.push(stdout);
    const stderr = new RunOutput(join(request.runFolder, "stderr"), request.outputLimitBytes);
    outputs.push(stderr);
    requireDescriptors(2);
    return { kind: "started", process: start(request, { stdin, stdout, stderr, cgroup }) };
  } catch (error) {
    for (const output of outputs) output.close();
    if (isShortage(error)) throw error;
    return { kind: "not-started", reason: notStarted(describeError(error)) };
  } finally {
    if (stdin !== undefined) closeSync(stdin);
  }
}

interface Opened {
  readonly stdin: number;
  readonly stdout: RunOutput;
  readonly stderr: RunOutput;
  readonly cgroup: string | null;
}

function start(request: SpawnRequest, { stdin, stdout, stderr, cgroup }: Opened): ExecutorProcess {
  const exit = Promise.withResolvers<ExitStatus>();
  let ended = false;
  const isShimmed = process.platform !== "win32";
  const shimmed = (): string[] =>
    underShim(request.command, statusFileOf(request.runFolder), startMarkOf(request.runFolder), cgroup);
  const command = isShimmed ? shimmed() : [...request.command];
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
    startedAt: startOf(child.pid),
    ageMs: 0,
    exited: exit.promise,
    stdout,
    stderr,
    signalGroup(signal) {
      // The pid cannot be reused before `onExit`, which sets `ended`. Afterwards it may belong to another process.
      if (!ended) signalTree(child.pid, signal);
    },
    close() {
      stdout.close();
      stderr.close();
    },
  };
}

/** Never throws: the executor is already running. */
function startOf(pid: number): string {
  try {
    return processStartTime(pid) ?? "";
  } catch {
    return "";
  }
}

/**
 * Throws unless the spawn can open its own descriptors: the system's handle of the child, and one to read its start
 * time. Without the handle the child would be started and killed again.
 */
function requireDescriptors(count: number): void {
  const descriptors: number[] = [];
  try {
    while (descriptors.length < count) descriptors.push(openSync(devNull, "r"));
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

function signalTree(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    if (process.platform === "win32") {
      // Windows has no groups and no SIGTERM: taskkill asks the processes to exit, and /F kills them.
      const force = signal === "SIGKILL" ? ["/F"] : [];
      Bun.spawn(["taskkill", "/T", ...force, "/PID", String(pid)], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
    } else {
      process.kill(-pid, signal);
    }
  } catch {
    // The leader has just ended; its exit event follows.
  }
}

function openUnlinked(path: string, content: string): number {
  // An attempt that SIGKILL interrupted may have left the file.
  rmSync(path, { force: true });
  try {
    writeFileSync(path, content, { mode: 0o600, flag: "wx" });
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
    return missing
      ? `The project directory does not exist: ${path}`
      : `The project directory cannot be used: ${describeError(error)}`;
  }
}

/**
 * Why the system would refuse to execute the program. Checked before the shim starts, which could only report an exit
 * code.
 */
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

function notStarted(why: string): string {
  return `The executor could not be started: ${why}`;
}
