import { readFileSync } from "node:fs";
import { constants } from "node:os";

/*
 * An executor outlives a runner that is killed, and its exit status is told to its parent only. So its parent is a small shell that
 * writes the status into a file before it ends itself: the next runner reads it there. The shell ignores what a stop sends to the
 * group (with a command as the trap, which the executor does not inherit as "ignored"), and keeps its own words ("Terminated") out of
 * the executor's stderr. The file is whole if it ends in a line feed after digits; it is there from the beginning, filled with line feeds
 * and written over in its place (`<>`), so that a disk that is full by then takes no status away. Before all else the shell creates the
 * mark of the beginning (begin-mark.ts), which no second one can ("set -C"). Then it puts itself, and with it all that comes of it, into the
 * run's cgroup; where that fails the run goes on without.
 */
const SCRIPT = `f=$1; b=$2; g=$3; shift 3
trap : TERM INT HUP
exec 4>&2 2>/dev/null
set -C
true >"$b" || { echo "agent-runner: $b cannot be created" >&4; exit 1; }
set +C
[ -z "$g" ] || printf 0 >"$g/cgroup.procs"
(exec "$@" 2>&4 4>&-)
c=$?
printf '%s\\n' "$c" 1<>"$f"
exit "$c"`;

/**
 * The command that creates `beginMark`, runs `command`, in `cgroup` if there is one, and leaves its exit status in `statusFile`; with a mark that
 * is there it does nothing.
 */
export function underShim(
  command: readonly string[],
  statusFile: string,
  beginMark: string,
  cgroup: string | null,
): string[] {
  return ["/bin/sh", "-c", SCRIPT, "agent-runner", statusFile, beginMark, cgroup ?? "", ...command];
}

/** What the status file holds before the executor has ended. */
export const NO_STATUS = "\n\n\n\n";

/** The status in the file, 0 to 255; null if there is none (yet). */
export function readStatus(statusFile: string): number | null {
  try {
    const match = /^(\d{1,3})\n+$/.exec(readFileSync(statusFile, "latin1"));
    return match === null ? null : Number(match[1]);
  } catch {
    return null;
  }
}

/** How a process ended: one of the two is null. Both are, where nobody saw how. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** A shell tells a signal n as the code 128 + n; programs that catch one and end because of it do the same. */
export function statusOfCode(code: number): ExitStatus {
  const signal = SIGNAL_NAMES.get(code - 128);
  return signal === undefined ? { code, signal: null } : { code: null, signal };
}

export function statusOfSignal(signal: number | NodeJS.Signals): ExitStatus {
  const name = typeof signal === "string" ? signal : (SIGNAL_NAMES.get(signal) ?? "SIGKILL");
  return { code: null, signal: name };
}
