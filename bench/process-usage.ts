import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The memory of a process. */
export interface Memory {
  readonly residentKiB: number;
  /** Resident, with each shared page divided by the number of processes that share it. */
  readonly proportionalKiB: number;
  /**
   * Dirty pages that no other process shares. Most other resident pages belong to the program's file; the kernel takes
   * them back under memory pressure.
   */
  readonly privateKiB: number;
}

export function memoryOf(pid: number): Memory {
  const fields = fieldsOf(`/proc/${pid}/smaps_rollup`);
  const of = (name: string): number => Number.parseInt(fields.get(name) ?? "0", 10);
  return { residentKiB: of("Rss"), proportionalKiB: of("Pss"), privateKiB: of("Private_Dirty") };
}

/** The usage of a thread so far: CPU time with nanosecond resolution, and how often it slept and was woken. */
export interface ThreadUsage {
  readonly cpuSeconds: number;
  readonly wakeUps: number;
}

/** The usage of each thread of a process, by the thread's path in /proc. Excludes child processes. */
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

/** The usage between two samples. Omits threads that have ended: subtracting them would make the sum too small. */
export function usageBetween(
  before: ReadonlyMap<string, ThreadUsage>,
  after: ReadonlyMap<string, ThreadUsage>,
): ThreadUsage {
  let [cpuSeconds, wakeUps] = [0, 0];
  for (const [thread, now] of after) {
    const earlier = before.get(thread) ?? { cpuSeconds: 0, wakeUps: 0 };
    cpuSeconds += now.cpuSeconds - earlier.cpuSeconds;
    wakeUps += now.wakeUps - earlier.wakeUps;
  }
  return { cpuSeconds, wakeUps };
}

const TICKS_PER_SECOND = 100;

/** CPU time of the process and of its reaped children, with a resolution of 10 ms. */
export function familyCpuSeconds(pid: number): number {
  return (
    statOf(pid)
      .slice(11, 15)
      .reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND
  );
}

/** Minor page faults of the process: first accesses to a page, each handled by the kernel. */
export function pageFaultsOf(pid: number): number {
  return Number(statOf(pid)[7]);
}

/** Minor page faults of the process's reaped children. */
export function pageFaultsOfChildren(pid: number): number {
  return Number(statOf(pid)[8]);
}

/** Read and write calls on files. Excludes sockets. */
export function fileCallsOf(pid: number): number {
  const fields = fieldsOf(`/proc/${pid}/io`);
  return Number(fields.get("syscr")) + Number(fields.get("syscw"));
}

/** Resident KiB of the program's own file, and of anonymous memory. */
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

/** Pids of the live children. */
export function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    readFileSync(`${thread}/children`, "latin1").trim().split(" ").filter(Boolean).map(Number),
  );
}

/** Pids of live processes with `entry` (`NAME=value`) in their environment. */
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

/** The fields of `/proc/PID/stat` after the name: index 0 is the state. */
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
