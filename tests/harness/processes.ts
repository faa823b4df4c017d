import { readdirSync, readFileSync } from "node:fs";
import { errorCode } from "../../src/errors.ts";

/** Whether the process lives. A zombie counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return process.platform !== "linux";
  }
}

/** Pids of live processes that have `name=value` in their environment (Linux). */
export function processesWith(name: string, value: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && isAlive(pid) && hasVariable(pid, `${name}=${value}`));
}

/**
 * The value of a variable in a process's environment; undefined if the variable is unset or the process gone (Linux).
 */
export function variableOf(pid: number, name: string): string | undefined {
  return variablesOf(pid)
    .find((variable) => variable.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

function hasVariable(pid: number, variable: string): boolean {
  return variablesOf(pid).includes(variable);
}

function variablesOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
  } catch {
    return [];
  }
}

/** The command line of a process, its arguments separated by spaces; "gone" if the process is gone. */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
  } catch {
    return "gone";
  }
}

/** Whether the process is a runner's watchdog: that of the runner with this pid, if one is given. */
export function isWatchdog(pid: number, runnerPid?: number): boolean {
  return commandLineOf(pid).includes(` agent-runner-watchdog ${runnerPid === undefined ? "" : `${runnerPid} `}`);
}

/** The pid of the process's parent; 0 if the process is gone (Linux). */
export function parentOf(pid: number): number {
  return Number(statOf(pid)[1] ?? 0);
}

/** The leader of the process's group; -1 if the process is gone (Linux). */
export function groupOf(pid: number): number {
  return Number(statOf(pid)[2] ?? -1);
}

/** The fields after the command's name. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

/**
 * Sends SIGKILL to one process, which may have ended since it was found. Throws for 1 and below: 0 means the test's own
 * process group, and negative numbers mean other groups.
 */
export function killProcess(pid: number): void {
  requirePid(pid);
  kill(pid);
}

/** Sends SIGKILL to the process's whole group, unless the process has ended since it was found. */
export function killGroupOf(pid: number): void {
  requirePid(pid);
  const group = groupOf(pid);
  if (group > 1) kill(-group);
}

function requirePid(pid: number): void {
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pid} is not the pid of a process to kill`);
}

function kill(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch (error) {
    if (errorCode(error) !== "ESRCH") throw error;
  }
}
