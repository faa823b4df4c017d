import { readdirSync, readFileSync } from "node:fs";
import { isShortage } from "./shortage.ts";

/** One live process, as far as it matters for ending what is left of a run. */
export interface ProcessEntry {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  /** The session's leader; null where the system does not tell. */
  readonly session: number | null;
  /** When it started, in a form that is only compared: together with the pid it names one process for good. */
  readonly startedAt: string;
  /** The value of AGENT_RUN_ID in its environment; null if it has none or the environment cannot be read. */
  readonly runId: string | null;
}

/** The variable by which the processes of a run are known, wherever they went. */
export const RUN_MARKER = "AGENT_RUN_ID";

const SLICE = 64;

/**
 * All live processes that can be seen. Rejects where the machine cannot tell (no descriptors left): a process that was not looked at must
 * not pass for one that is gone. Gives the event loop a turn every few of them: a machine may have thousands.
 */
export async function readProcessTable(): Promise<ProcessEntry[]> {
  if (process.platform === "linux") return readLinuxTable();
  if (process.platform === "win32") return [];
  return readPsTable();
}

/** The earlier start first; of two in the same moment the lower pid, which was given out first but for a turn of the numbers. */
export function byStart(a: ProcessEntry, b: ProcessEntry): number {
  return startOrder(a) - startOrder(b) || a.pid - b.pid;
}

function startOrder({ startedAt }: Pick<ProcessEntry, "startedAt">): number {
  return isTicks(startedAt) ? Number(startedAt) : Date.parse(startedAt);
}

/** Ticks on Linux, a date where `ps` tells it. */
function isTicks(startedAt: string): boolean {
  return /^\d+$/.test(startedAt);
}

/** What Linux tells its programs times in, whatever it counts in itself. */
const TICK_MS = 10;

/**
 * How long ago the process that started then did, in ms: by how much sooner it did than this program. On Linux both count from the machine's own
 * start, so a clock that was set meanwhile changes nothing; elsewhere one that was set between the two starts does. 0 where nobody can tell.
 */
export function ageMsOf(startedAt: string): number {
  const own = processStartTime(process.pid);
  if (own === null || startedAt === "") return 0;
  const soonerMs = (startOrder({ startedAt: own }) - startOrder({ startedAt })) * (isTicks(startedAt) ? TICK_MS : 1);
  return Number.isFinite(soonerMs) ? Math.max(0, soonerMs + process.uptime() * 1000) : 0;
}

/** When the live process `pid` started, or null if there is none (a zombie counts as none). Throws where the machine cannot tell. */
export function processStartTime(pid: number): string | null {
  if (process.platform === "linux") return readLinuxStat(pid)?.startedAt ?? null;
  return psRows(["-p", String(pid)]).find((entry) => entry.pid === pid)?.startedAt ?? null;
}

/** Signals one process, but only while it is the one that was seen: a pid may have been given to another since. */
export function signalProcess(entry: ProcessEntry, signal: NodeJS.Signals): boolean {
  try {
    if (entry.pid === process.pid || processStartTime(entry.pid) !== entry.startedAt) return false;
    process.kill(entry.pid, signal);
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
    // The command's name stands in parentheses and may contain anything: the fields are counted from the last one.
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
    // Otherwise another user's process, or one that has just ended.
    if (isShortage(error)) throw error;
  }
  return null;
}

/** macOS and the BSDs: `ps -E` shows the environment of one's own processes behind the command. */
function readPsTable(): ProcessEntry[] {
  return psRows(["-A"]);
}

function psRows(selection: string[]): ProcessEntry[] {
  const args = ["-E", "-ww", ...selection, "-o", "pid=,ppid=,pgid=,stat=,lstart=,command="];
  const result = Bun.spawnSync(["ps", ...args], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  return parsePsTable(result.stdout.toString());
}

/** Rows of `ps -o pid=,ppid=,pgid=,stat=,lstart=,command=`; `lstart` is five words long. */
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
