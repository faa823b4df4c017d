import { accessSync, closeSync, constants, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import { beginMarkOf } from "./begin-mark.ts";
import { hasInterpreter, inspectFile } from "./inspect-file.ts";
import { processStartTime } from "./process-table.ts";
import { RunOutput } from "./run-output.ts";
import { type ExitStatus, NO_STATUS, statusOfCode, statusOfSignal, underShim } from "./shim.ts";
import { isShortage } from "./shortage.ts";

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
  /** Empty where the machine could not tell. */
  readonly startedAt: string;
  /** How long it had been running when the watch over it began; 0 for one that was just started. */
  readonly ageMs: number;
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
 * `cgroup` is the run's own, if it has one. Throws, with nothing started, where the machine has no room for it (`isShortage`).
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
    underShim(request.command, statusFileOf(request.runFolder), beginMarkOf(request.runFolder), cgroup);
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
      // A child keeps its number until its end was taken notice of, which sets `ended` at once; afterwards others may be given it.
      if (!ended) signalTree(child.pid, signal);
    },
    close() {
      stdout.close();
      stderr.close();
    },
  };
}

/** Nothing may go wrong once the executor lives. */
function startOf(pid: number): string {
  try {
    return processStartTime(pid) ?? "";
  } catch {
    return "";
  }
}

/** What a spawn itself needs: the system's handle of the child, and a look at it. Without the first it would be started and ended again. */
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
      // No groups and no SIGTERM there: taskkill asks the tree first, and /F ends it.
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
    // It ended a moment ago; its exit event is on the way.
  }
}

function openUnlinked(path: string, content: string): number {
  // An attempt that was cut off by a SIGKILL may have left one.
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

function notStarted(why: string): string {
  return `The executor could not be started: ${why}`;
}
