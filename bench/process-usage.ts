import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What a process takes of the machine, as Linux tells it. */
export interface Memory {
  readonly residentKiB: number;
  /** What it has written to and shares with nobody. (Pages of the program's file, of which most of the rest is, are given back when they are needed.) */
  readonly privateKiB: number;
}

export function memoryOf(pid: number): Memory {
  const fields = fieldsOf(`/proc/${pid}/smaps_rollup`);
  const of = (name: string): number => Number.parseInt(fields.get(name) ?? "0", 10);
  return { residentKiB: of("Rss"), privateKiB: of("Private_Dirty") };
}

/** What a thread took so far: CPU time to the nanosecond, and how often it went to sleep and so was woken. */
export interface ThreadUsage {
  readonly cpuSeconds: number;
  readonly wakeUps: number;
}

/** Of each thread of a process, by its path. That of children is not in it. */
export function threadUsageOf(pid: number): ReadonlyMap<string, ThreadUsage> {
  return new Map(
    threadsOf(pid).map((thread) => [
      thread,
      {
        cpuSeconds: Number(readFileSync(`${thread}/schedstat`, "latin1").split(" ")[0]) / 1e9,
        wakeUps: Number(fieldsOf(`${thread}/status`).get("voluntary_ctxt_switches") ?? 0),
      },
    ]),
  );
}

/** What the threads took between two looks. One that has ended meanwhile takes what it took along: it is left out, not taken off. */
export function usageBetween(
  before: ReadonlyMap<string, ThreadUsage>,
  after: ReadonlyMap<string, ThreadUsage>,
): ThreadUsage {
  let [cpuSeconds, wakeUps] = [0, 0];
  for (const [thread, now] of after) {
    const then = before.get(thread) ?? { cpuSeconds: 0, wakeUps: 0 };
    cpuSeconds += now.cpuSeconds - then.cpuSeconds;
    wakeUps += now.wakeUps - then.wakeUps;
  }
  return { cpuSeconds, wakeUps };
}

const TICKS_PER_SECOND = 100;

/** CPU time of the process and of its children that have been waited for, to the hundredth of a second. */
export function familyCpuSeconds(pid: number): number {
  return (
    statOf(pid)
      .slice(11, 15)
      .reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND
  );
}

/** How often it touched a page of memory that it had not got yet. Each time the kernel has to step in. */
export function pageFaultsOf(pid: number): number {
  return Number(statOf(pid)[7]);
}

/** The same of its children that have been waited for. */
export function pageFaultsOfEnded(pid: number): number {
  return Number(statOf(pid)[8]);
}

/** How often it has read from or written to files; sockets are not counted. */
export function fileCallsOf(pid: number): number {
  const fields = fieldsOf(`/proc/${pid}/io`);
  return Number(fields.get("syscr")) + Number(fields.get("syscw"));
}

/** KiB that are resident of the program's own file, and of memory that belongs to no file. */
export function residentPartsOf(pid: number): { readonly programKiB: number; readonly anonymousKiB: number } {
  const program = readlinkSync(`/proc/${pid}/exe`);
  let isProgram = false;
  let programKiB = 0;
  let anonymousKiB = 0;
  for (const line of readFileSync(`/proc/${pid}/smaps`, "latin1").split("\n")) {
    const [name = "", value = ""] = line.split(/:? +/, 2);
    if (name.includes("-")) isProgram = line.endsWith(program);
    if (name === "Rss" && isProgram) programKiB += Number(value);
    if (name === "Anonymous") anonymousKiB += Number(value);
  }
  return { programKiB, anonymousKiB };
}

/** Pids of the children that live. */
export function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    readFileSync(`${thread}/children`, "latin1").trim().split(" ").filter(Boolean).map(Number),
  );
}

/** Pids of live processes that have `entry` (`NAME=value`) in their environment. */
export function processesWith(entry: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && environmentOf(pid).includes(entry));
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
  } catch {
    return [];
  }
}

/** The fields of `/proc/PID/stat` from the state on. */
function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`);
}

function fieldsOf(path: string): Map<string, string> {
  const lines = readFileSync(path, "latin1").split("\n").slice(0, 200);
  return new Map(
    lines.flatMap((line) =>
      line.includes(":") ? [[line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]] : [],
    ),
  );
}
