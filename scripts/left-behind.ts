import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** The variable by which what the gate has started is known, however far down. */
export const GATE_MARKER = "GATE_SCRATCH";

const GRACE_MS = 5_000;
const LOOK_EVERY_MS = 50;

/**
 * Ends what a step of the gate has left behind and returns the command lines. What is about to end by itself gets a moment; a test that was
 * cut off leaves agents that would run on for hours. Sees nothing where there is no /proc.
 */
export async function endLeftBehind(mark: string, graceMs = GRACE_MS): Promise<string[]> {
  const until = performance.now() + graceMs;
  while (performance.now() < until && (await remaining(mark)).length > 0) await pause(LOOK_EVERY_MS);
  const left = new Map<number, string>();
  // What is ended may have started another in the same moment.
  for (let found = await remaining(mark); found.length > 0; found = await remaining(mark)) {
    for (const pid of found) {
      if (!left.has(pid)) left.set(pid, commandLineOf(pid));
      kill(pid);
    }
    await pause(LOOK_EVERY_MS);
  }
  return [...left.values()];
}

/** Those that are there, by two looks: a process has no environment to be seen while it becomes another program. */
async function remaining(mark: string): Promise<number[]> {
  const seen = marked(mark);
  if (seen.length > 0) return seen;
  await pause(LOOK_EVERY_MS);
  return marked(mark);
}

function marked(mark: string): number[] {
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

/** Empty for a process that has ended: a zombie has no environment either. */
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
    // It has ended by itself.
  }
}
