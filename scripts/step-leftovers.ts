import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** The variable that marks all processes of the gate, however deep. */
export const GATE_MARKER = "GATE_SCRATCH";

const GRACE_MS = 5_000;
const SCAN_EVERY_MS = 50;

/**
 * Ends the leftovers of a step and returns their command lines. First waits `graceMs` for them to end by themselves.
 * An aborted test can leave agents that would run for hours. Finds nothing without /proc.
 */
export async function endLeftovers(mark: string, graceMs = GRACE_MS): Promise<string[]> {
  const until = performance.now() + graceMs;
  while (performance.now() < until && (await scanTwice(mark)).length > 0) await pause(SCAN_EVERY_MS);
  const ended = new Map<number, string>();
  // Scans again after each kill: a process may have started another just before.
  for (let found = await scanTwice(mark); found.length > 0; found = await scanTwice(mark)) {
    for (const pid of found) {
      if (!ended.has(pid)) ended.set(pid, commandLineOf(pid));
      kill(pid);
    }
    await pause(SCAN_EVERY_MS);
  }
  return [...ended.values()];
}

/** Scans a second time if the first finds nothing: during an exec a process shows no environment. */
async function scanTwice(mark: string): Promise<number[]> {
  const found = scan(mark);
  if (found.length > 0) return found;
  await pause(SCAN_EVERY_MS);
  return scan(mark);
}

function scan(mark: string): number[] {
  const entry = `${GATE_MARKER}=${mark}`;
  return pids().filter((pid) => pid !== process.pid && read(pid, "environ").split("\0").includes(entry));
}

function pids(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function commandLineOf(pid: number): string {
  return read(pid, "cmdline").replaceAll("\0", " ").trim() || `process ${pid}`;
}

/** Empty for an ended process and for a zombie. */
function read(pid: number, file: "environ" | "cmdline"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has already ended.
  }
}
