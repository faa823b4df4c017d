import { readdirSync, readFileSync } from "node:fs";

/** Whether the process lives; a zombie does not. */
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

/** The value of a variable in a process's environment; undefined if it is gone, or has none (Linux). */
export function variableOf(pid: number, name: string): string | undefined {
  return variablesOf(pid)
    .find((variable) => variable.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

function hasVariable(pid: number, wanted: string): boolean {
  return variablesOf(pid).includes(wanted);
}

function variablesOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
  } catch {
    return [];
  }
}

/** What a process was started as, its arguments apart by a space; "gone" if it is. */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
  } catch {
    return "gone";
  }
}

/** The process's parent; 0 if it is gone (Linux). */
export function parentOf(pid: number): number {
  return Number(statOf(pid)[1] ?? 0);
}

/** The leader of the process's group; -1 if it is gone (Linux). */
export function groupOf(pid: number): number {
  return Number(statOf(pid)[2] ?? -1);
}

/** The fields behind the command's name. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

/** SIGKILL to one process. Throws for what is no pid: to the system 0 is the own process group, and what is below are others. */
export function killProcess(pid: number): void {
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pid} is not the pid of a process to end`);
  process.kill(pid, "SIGKILL");
}

/** SIGKILL to the process's whole group. Throws where it is gone. */
export function killGroupOf(pid: number): void {
  const group = groupOf(pid);
  if (group <= 1) throw new Error(`process ${pid} is gone`);
  process.kill(-group, "SIGKILL");
}
