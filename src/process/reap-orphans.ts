import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";
import { C_LIBRARIES } from "./c-library.ts";

const SCAN_MS = 5_000;
const WNOHANG = 1;

/**
 * Reaps orphans where this program is PID 1 of a container, and so their parent. Does nothing elsewhere. Bun reaps its
 * own children at once, so only a zombie that two scans in a row see is an orphan.
 */
export function reapOrphans(pid: number = process.pid): Disposable {
  if (pid !== 1 || process.platform !== "linux") return { [Symbol.dispose]() {} };
  let seen = new Set<number>();
  const timer = setInterval(() => {
    const zombies = zombiesOf(pid);
    for (const zombie of zombies) if (seen.has(zombie)) reap(zombie);
    seen = new Set(zombies);
  }, SCAN_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** The ended children of a process that nobody has waited for. */
export function zombiesOf(parent: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      // The name of the program, in parentheses, may contain anything.
      const [state, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" && Number(ppid) === parent ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

type WaitPid = (pid: number, status: number | null, options: number) => number;
let waitpid: WaitPid | null | undefined;

function reap(pid: number): void {
  waitpid ??= loadWaitPid();
  const status = new Int32Array(1);
  waitpid?.(pid, ptr(status), WNOHANG);
}

function loadWaitPid(): WaitPid | null {
  for (const library of C_LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        waitpid: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
      });
      return symbols.waitpid;
    } catch {
      // Tries the next C library.
    }
  }
  return null;
}
