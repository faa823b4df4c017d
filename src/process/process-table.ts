import { readdirSync, readFileSync } from "node:fs";
import { isShortage } from "./shortage.ts";

/** One live process: the fields that identify leftovers of a run. */
export interface ProcessEntry {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  /** The pid of the session's leader; null where the system does not report it. */
  readonly session: number | null;
  /** The start time in the system's format. With the pid it identifies a process for good. */
  readonly startedAt: string;
  /** AGENT_RUN_ID from the process's environment; null if the variable is unset or the environment cannot be read. */
  readonly runId: string | null;
}

/** The environment variable that marks the processes of a run, in any group or session. */
export const RUN_MARKER = "AGENT_RUN_ID";

const SLICE = 64;

/**
 * Reads all visible live processes. Rejects on a shortage (no descriptors left), because a process that could not be
 * read must not count as gone. Yields to the event loop every 64 processes: a machine may have thousands.
 */
export async function readProcessTable(): Promise<ProcessEntry[]> {
  if (process.platform === "linux") return readLinuxTable();
  if (process.platform === "win32") return [];
  return readPsTable();
}

/** Orders by start time, then by pid: except when pids wrap around, the lower pid is older. */
export function byStart(a: ProcessEntry, b: ProcessEntry): number {
  return startOrder(a) - startOrder(b) || a.pid - b.pid;
}

function startOrder({ startedAt }: Pick<ProcessEntry, "startedAt">): number {
  // Without the zone, a change to summer time between two starts would be an hour between them.
  return isTicks(startedAt) ? Number(startedAt) : Date.parse(`${startedAt} UTC`);
}

/** Linux gives start times in ticks, `ps` gives dates. */
function isTicks(startedAt: string): boolean {
  return /^\d+$/.test(startedAt);
}

/** Linux always reports times to programs in ticks of 10 ms (USER_HZ), whatever the kernel counts in. */
const TICK_MS = 10;

/**
 * The age in ms of a process with this start time; 0 if unknown. Adds this program's uptime to the difference between
 * the two start times. On Linux both count from the boot, so setting the clock changes nothing. Elsewhere the age is
 * wrong if the clock was set between the two starts.
 */
export function ageMsOf(startedAt: string): number {
  const own = processStartTime(process.pid);
  if (own === null || startedAt === "") return 0;
  const earlierMs = (startOrder({ startedAt: own }) - startOrder({ startedAt })) * (isTicks(startedAt) ? TICK_MS : 1);
  return Number.isFinite(earlierMs) ? Math.max(0, earlierMs + process.uptime() * 1000) : 0;
}

/** The start time of the live process `pid`; null if it is gone or a zombie. Throws on a shortage (`isShortage`). */
export function processStartTime(pid: number): string | null {
  if (process.platform === "linux") return readLinuxStat(pid)?.startedAt ?? null;
  return psRows(["-p", String(pid)]).find((entry) => entry.pid === pid)?.startedAt ?? null;
}

/** Signals a process only while its pid still belongs to it. Returns false if the pid was reused. */
export function signalProcess(entry: ProcessEntry, signal: NodeJS.Signals): boolean {
  try {
    if (entry.pid === process.pid || processStartTime(entry.pid) !== entry.startedAt) return false;
    process.kill(entry.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Signals the group that a process leads, only while the pid still belongs to the process. */
export function signalGroup(leader: ProcessEntry, signal: NodeJS.Signals): boolean {
  try {
    if (leader.group !== leader.pid || processStartTime(leader.pid) !== leader.startedAt) return false;
    process.kill(-leader.pid, signal);
    return true;
  } catch {
    return false;
  }
}

async function readLinuxTable(): Promise<ProcessEntry[]> {
  const table: ProcessEntry[] = [];
  let read = 0;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readLinuxStat(pid);
    if (stat !== null) table.push({ ...stat, runId: readLinuxMarker(pid) });
    if (++read % SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return table;
}

function readLinuxStat(pid: number): Omit<ProcessEntry, "runId"> | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name stands in parentheses and may contain any character, so fields count from the last
    // parenthesis.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return null;
    return {
      pid,
      ppid: Number(fields[1]),
      group: Number(fields[2]),
      session: Number(fields[3]),
      startedAt: fields[19] ?? "",
    };
  } catch (error) {
    if (isShortage(error)) throw error;
    return null;
  }
}

const MARKER_BYTES = Buffer.from(`${RUN_MARKER}=`);

function readLinuxMarker(pid: number): string | null {
  try {
    const environ = readFileSync(`/proc/${pid}/environ`);
    for (let at = environ.indexOf(MARKER_BYTES); at >= 0; at = environ.indexOf(MARKER_BYTES, at + 1)) {
      if (at > 0 && environ[at - 1] !== 0) continue;
      const end = environ.indexOf(0, at);
      return environ.toString("latin1", at + MARKER_BYTES.length, end < 0 ? environ.length : end);
    }
  } catch (error) {
    // Any other error: the process belongs to another user, or has just ended.
    if (isShortage(error)) throw error;
  }
  return null;
}

/** For macOS and the BSDs: `ps -E` shows the environment of the user's own processes after the command. */
function readPsTable(): ProcessEntry[] {
  return psRows(["-A"]);
}

/**
 * The whole environment of `ps`. `lstart` must be the same text in every start of the runner, and launchd has another
 * language and zone than a shell. COMMAND_MODE and PS_FORMAT would change the columns, a short PATH would hide `ps`.
 */
export const PS_ENVIRONMENT = { PATH: "/bin:/usr/bin", LC_ALL: "C", TZ: "UTC" } as const;

function psRows(selection: string[]): ProcessEntry[] {
  const args = ["-E", "-ww", ...selection, "-o", "pid=,ppid=,pgid=,stat=,lstart=,command="];
  const options = { env: PS_ENVIRONMENT, stdin: "ignore", stdout: "pipe", stderr: "ignore" } as const;
  return parsePsTable(Bun.spawnSync(["/bin/ps", ...args], options).stdout.toString());
}

/** Parses the output of `ps -o pid=,ppid=,pgid=,stat=,lstart=,command=`; `lstart` is five words long. */
export function parsePsTable(text: string): ProcessEntry[] {
  const row = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s?(.*)$/;
  return text.split("\n").flatMap((line) => {
    const match = row.exec(line);
    if (match === null || match[4]?.startsWith("Z")) return [];
    const marker = new RegExp(`(?:^|\\s)${RUN_MARKER}=(\\S+)`).exec(match[6] ?? "");
    return [
      {
        pid: Number(match[1]),
        ppid: Number(match[2]),
        group: Number(match[3]),
        session: null,
        startedAt: match[5] ?? "",
        runId: marker?.[1] ?? null,
      },
    ];
  });
}
