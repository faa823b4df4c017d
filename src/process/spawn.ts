import { accessSync, closeSync, constants, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import { ENVIRONMENT_FD } from "./environment/become.ts";
import { softDescriptorLimit } from "./environment/descriptor-limit.ts";
import { type EnvironmentEntries, exactEntries, ownProgram, shellKeeps } from "./environment/exact-environment.ts";
import { hasInterpreter, inspectFile } from "./inspect-file.ts";
import { processStartTime, RUN_MARKER } from "./process-table.ts";
import { RunOutput } from "./output/run-output.ts";
import { type ExitStatus, NO_STATUS, statusOfCode, statusOfSignal, underShim } from "./shim.ts";
import { isShortage } from "./shortage.ts";
import { startMarkOf } from "./start-mark.ts";

export interface SpawnRequest {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The bytes of the variables in `env` that this process inherited. */
  readonly inherited?: EnvironmentEntries;
  /** The working folder, which must exist. */
  readonly projectDir: string;
  /** The text that the executor reads from its stdin. */
  readonly stdin: string;
  /** An existing folder of the run, mode 0700. */
  readonly runFolder: string;
  readonly outputLimitBytes: number;
  /** A descriptor that stays open as long as the executor lives, whatever becomes of this process. */
  readonly held?: number | null;
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
  const fault = startFault(request);
  if (fault !== null) return { kind: "not-started", reason: fault };
  const descriptors: number[] = [];
  const outputs: RunOutput[] = [];
  try {
    writeFileSync(statusFileOf(request.runFolder), NO_STATUS, { mode: 0o600 });
    const stdin = openUnlinked(join(request.runFolder, "stdin"), request.stdin);
    descriptors.push(stdin);
    const launch = launchOf(request, cgroup);
    let environment: number | null = null;
    if (launch.environment !== null) {
      environment = openUnlinked(join(request.runFolder, "environment"), launch.environment);
      descriptors.push(environment);
    }
    const stdout = new RunOutput(join(request.runFolder, "stdout"), request.outputLimitBytes);
    outputs.push(stdout);
    const stderr = new RunOutput(join(request.runFolder, "stderr"), request.outputLimitBytes);
    outputs.push(stderr);
    requireDescriptors(2);
    return { kind: "started", process: start(request, { stdin, environment, stdout, stderr, launch }) };
  } catch (error) {
    for (const output of outputs) output.close();
    if (isShortage(error)) throw error;
    return { kind: "not-started", reason: notStarted(describeError(error)) };
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

/** Why an executor with this program and project directory could not be started now; null if it could. */
export function startFault(request: Pick<SpawnRequest, "command" | "env" | "projectDir">): string | null {
  return folderFault(request.projectDir) ?? programFault(request);
}

interface Opened {
  readonly stdin: number;
  readonly environment: number | null;
  readonly stdout: RunOutput;
  readonly stderr: RunOutput;
  readonly launch: Launch;
}

interface Launch {
  readonly command: string[];
  readonly env: Readonly<Record<string, string>>;
  /** The content of ENVIRONMENT_FD; null if the executor inherits the environment from the shim. */
  readonly environment: Buffer | null;
}

function launchOf(request: SpawnRequest, cgroup: string | null): Launch {
  const { command, env, inherited = [], runFolder, held = null } = request;
  if (process.platform === "win32") return { command: [...command], env, environment: null };
  const shimmed = (words: readonly string[], softLimit: number | null, next: number): string[] =>
    underShim(words, statusFileOf(runFolder), startMarkOf(runFolder), cgroup, softLimit, held === null ? null : next);
  const entries = exactEntries(env, inherited);
  if (shellKeeps(entries))
    return { command: shimmed(command, softDescriptorLimit(), ENVIRONMENT_FD), env, environment: null };
  const become = [...ownProgram(), "exec-become", String(softDescriptorLimit() ?? ""), pathOf(request), ...command];
  // The mark lets the scan for leftovers find the shim.
  const marks = [RUN_MARKER, "PATH"].flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  return {
    command: shimmed(become, null, ENVIRONMENT_FD + 1),
    env: Object.fromEntries(marks),
    environment: Buffer.from(entries.map((entry) => `${entry}\0`).join(""), "latin1"),
  };
}

function start(request: SpawnRequest, { stdin, environment, stdout, stderr, launch }: Opened): ExecutorProcess {
  const exit = Promise.withResolvers<ExitStatus>();
  let ended = false;
  const child = Bun.spawn(launch.command, {
    cwd: request.projectDir,
    env: { ...launch.env },
    stdio: [stdin, stdout.fd, stderr.fd, ...[environment, request.held ?? null].filter((fd) => fd !== null)],
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

function openUnlinked(path: string, content: string | Buffer): number {
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
function programFault(request: Pick<SpawnRequest, "command" | "env">): string | null {
  const { command, env } = request;
  const [program = ""] = command;
  if (process.platform === "win32") return null;
  const file = inspectFile(pathOf(request));
  if (file.kind === "missing" || (file.kind === "script" && !hasInterpreter(file.interpreter, env["PATH"] ?? ""))) {
    return notStarted(`${program} (or the interpreter that it names) was not found`);
  }
  if (!("runnable" in file) || !file.runnable) return notStarted(`${program} may not be executed`);
  return file.kind === "text" ? notStarted(`${program} is neither a program nor a script that begins with #!`) : null;
}

/** The file of the executor; empty if the program is not in the PATH. */
function pathOf({ command: [program = ""], env }: Pick<SpawnRequest, "command" | "env">): string {
  return program.includes("/") ? program : (Bun.which(program, { PATH: env["PATH"] ?? "" }) ?? "");
}

function notStarted(why: string): string {
  return `The executor could not be started: ${why}`;
}
