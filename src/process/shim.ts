import { readFileSync } from "node:fs";
import { constants } from "node:os";

/*
 * An executor outlives a runner that is killed, but only its parent learns its exit status. So its parent is a small
 * shell that writes the status to a file, where the runner's next process reads it. The shell:
 * - Creates the start mark (start-mark.ts) first. `set -C` makes this fail if the mark exists.
 * - Moves itself, and thereby all its descendants, into the run's cgroup. If that fails, the run continues without a
 *   cgroup.
 * - Survives the signals that a stop sends to the group. The trap is a command (`:`), because the executor would
 *   inherit an ignored signal.
 * - Keeps its own messages ("Terminated") out of the executor's stderr.
 * - Holds descriptor `k`, if given, as long as the executor lives. The executor does not get it.
 * - Lowers the soft limit of open files to `l`, if given: Bun has raised it.
 * - Overwrites the status file in place (`<>`). The file exists from the start, filled with line feeds, so a full
 *   disk loses no status. The file is complete once it holds digits and ends in a line feed.
 */
const SCRIPT = `f=$1; b=$2; g=$3; l=$4; k=$5; shift 5
trap : TERM INT HUP
exec 9>&2 2>/dev/null
set -C
true >"$b" || { echo "agent-runner: $b cannot be created" >&9; exit 1; }
set +C
[ -z "$g" ] || printf 0 >"$g/cgroup.procs"
([ -z "$l" ] || ulimit -Sn "$l"; [ -z "$k" ] || eval "exec $k>&-"; exec "$@" 2>&9 9>&-)
c=$?
printf '%s\\n' "$c" 1<>"$f"
exit "$c"`;

/**
 * A command that creates `startMark`, runs `command` in `cgroup` (if given), and writes its exit status to
 * `statusFile`. It does nothing if the mark exists. `softLimit`: the soft limit of open files; null to leave it.
 * `held`: the descriptor that the shim holds until the command ends; null for none.
 */
export function underShim(
  command: readonly string[],
  statusFile: string,
  startMark: string,
  cgroup: string | null,
  softLimit: number | null = null,
  held: number | null = null,
): string[] {
  const values = [statusFile, startMark, cgroup ?? "", softLimit ?? "", held ?? ""].map(String);
  return ["/bin/sh", "-c", SCRIPT, "agent-runner", ...values, ...command];
}

/** The content of the status file until the executor has ended. */
export const NO_STATUS = "\n\n\n\n";

/** The status in the file, 0 to 255; null if it holds none yet. */
export function readStatus(statusFile: string): number | null {
  try {
    const match = /^(\d{1,3})\n+$/.exec(readFileSync(statusFile, "latin1"));
    return match === null ? null : Number(match[1]);
  } catch {
    return null;
  }
}

/** How a process ended: one of the two fields is null. Both are null if nobody observed the end. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** A shell reports signal n as code 128 + n, and so do programs that catch a signal and exit because of it. */
export function statusOfCode(code: number): ExitStatus {
  const signal = SIGNAL_NAMES.get(code - 128);
  return signal === undefined ? { code, signal: null } : { code: null, signal };
}

export function statusOfSignal(signal: number | NodeJS.Signals): ExitStatus {
  const name = typeof signal === "string" ? signal : (SIGNAL_NAMES.get(signal) ?? "SIGKILL");
  return { code: null, signal: name };
}
