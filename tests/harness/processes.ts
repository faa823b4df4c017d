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

function hasVariable(pid: number, wanted: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(wanted);
  } catch {
    return false;
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
