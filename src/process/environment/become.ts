import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { describeError } from "../../errors.ts";
import { C_LIBRARIES } from "../c-library.ts";
import { type EnvironmentEntries, splitEntries } from "./exact-environment.ts";

/** The descriptor of the file with the environment: entries that each end in a zero byte. */
export const ENVIRONMENT_FD = 3;
const NOT_EXECUTED = 126;
const RLIMIT_NOFILE = process.platform === "darwin" ? 8 : 7;
/** Bun ignores these signals, and the next program would inherit that. */
const IGNORED_BY_BUN = [constants.signals.SIGPIPE, constants.signals.SIGXFSZ];

/**
 * Replaces this process by `program`, with the environment of ENVIRONMENT_FD. `softLimit` is the soft limit of open
 * files; "" leaves it. Returns only on a fault: an exit code.
 */
export function become([softLimit = "", program = "", ...words]: readonly string[]): number {
  try {
    const entries = splitEntries(readFileSync(ENVIRONMENT_FD));
    closeSync(ENVIRONMENT_FD);
    execute(program, words, entries, softLimit === "" ? null : Number(softLimit));
    throw new Error(`${program} could not be executed`);
  } catch (error) {
    process.stderr.write(`agent-runner: ${describeError(error)}\n`);
    return NOT_EXECUTED;
  }
}

function execute(program: string, words: readonly string[], env: EnvironmentEntries, softLimit: number | null): void {
  const { execve, getrlimit, setrlimit, signal } = library();
  for (const number of IGNORED_BY_BUN) signal(number, null);
  if (softLimit !== null) {
    const limits = new BigUint64Array(2);
    if (getrlimit(RLIMIT_NOFILE, ptr(limits)) === 0) {
      limits[0] = BigInt(softLimit);
      setrlimit(RLIMIT_NOFILE, ptr(limits));
    }
  }
  // The buffers stay in these variables: their addresses must be valid until the call.
  const path = cString(program, "utf8");
  const argv = words.map((word) => cString(word, "utf8"));
  const envp = env.map((entry) => cString(entry, "latin1"));
  execve(ptr(path), ptr(addresses(argv)), ptr(addresses(envp)));
}

function cString(text: string, encoding: "utf8" | "latin1"): Buffer {
  return Buffer.from(`${text}\0`, encoding);
}

function addresses(strings: readonly Buffer[]): BigUint64Array {
  return BigUint64Array.from([...strings.map((string) => BigInt(ptr(string))), 0n]);
}

function library() {
  for (const name of ["libSystem.B.dylib", ...C_LIBRARIES]) {
    try {
      return dlopen(name, {
        execve: { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
        getrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
        setrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
        signal: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.ptr },
      }).symbols;
    } catch {
      // Tries the next C library.
    }
  }
  throw new Error("no C library was found");
}
