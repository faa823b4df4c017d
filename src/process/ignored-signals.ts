import { dlopen, FFIType } from "bun:ffi";
import { readFileSync } from "node:fs";
import { constants } from "node:os";

const IGNORE = 1;

const atStart = new Map<NodeJS.Signals, boolean>();

/**
 * The signals that this process was not started with as ignored. `nohup` ignores SIGHUP, and a shell ignores SIGINT for
 * a background job of a script: a handler would undo that. Ask before the first handler of a signal is installed.
 */
export function heeded<const S extends NodeJS.Signals>(signals: readonly S[]): S[] {
  return signals.filter((signal) => {
    const known = atStart.get(signal) ?? isIgnored(signal);
    atStart.set(signal, known);
    return !known;
  });
}

function isIgnored(signal: NodeJS.Signals): boolean {
  const number = constants.signals[signal];
  try {
    if (process.platform === "linux") {
      const [, mask = "0"] = /^SigIgn:\s*([\da-f]+)/m.exec(readFileSync("/proc/self/status", "latin1")) ?? [];
      return ((BigInt(`0x${mask}`) >> BigInt(number - 1)) & 1n) === 1n;
    }
    return process.platform === "darwin" && wasIgnored(number);
  } catch {
    return false;
  }
}

/** Asks by setting: `signal` returns the earlier action. */
function wasIgnored(number: number): boolean {
  const { signal } = dlopen("libSystem.B.dylib", {
    signal: { args: [FFIType.i32, FFIType.u64], returns: FFIType.u64 },
  }).symbols;
  const earlier = signal(number, IGNORE);
  if (earlier === BigInt(IGNORE)) return true;
  signal(number, earlier);
  return false;
}
