import { type FSWatcher, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { privateFolder } from "./private-folder.ts";
import { ageMsOf, byStart, type ProcessEntry, processStartTime } from "./process-table.ts";
import { RunOutput } from "./output/run-output.ts";
import { type ExitStatus, readStatus, statusOfCode } from "./shim.ts";
import { type ExecutorProcess, statusFileOf } from "./spawn.ts";

/** Identifies a process for good: a pid is reused in time, and on Linux `startedAt` counts from the boot. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  readonly bootId: string;
}

const CHECK_EVERY_MS = 250;

let knownBootId: string | undefined;

/** Identifies the current boot of the machine. */
export function bootId(): string {
  knownBootId ??= readBootId();
  return knownBootId;
}

function readBootId(): string {
  if (process.platform === "linux") return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  const result = Bun.spawnSync(["sysctl", "-n", "kern.bootsessionuuid"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  return result.stdout.toString().trim();
}

/** Whether the process with exactly this identity lives. Throws when the machine cannot tell (`isShortage`). */
export function lives(identity: ProcessIdentity): boolean {
  return (
    identity.startedAt !== "" && identity.bootId === bootId() && processStartTime(identity.pid) === identity.startedAt
  );
}

/**
 * The executors that live, by run: for each run the oldest process with its marker that leads a group. A younger one
 * may have left the executor's group and lead its own.
 */
export function markedLeaders(table: readonly ProcessEntry[]): Map<string, ProcessIdentity> {
  const leaders = new Map<string, ProcessIdentity>();
  for (const { pid, group, runId, startedAt } of table.toSorted(byStart)) {
    if (runId !== null && pid === group && !leaders.has(runId))
      leaders.set(runId, { pid, startedAt, bootId: bootId() });
  }
  return leaders;
}

/**
 * Adopts an executor that an earlier process of this runner started. `exited` resolves as soon as the status file is
 * written, or within 250 ms of the executor's disappearance. If the executor vanished without a status, both fields of
 * the exit status are null. Throws when the run's files cannot be opened.
 */
export function adoptExecutor(identity: ProcessIdentity, runFolder: string, outputLimitBytes: number): ExecutorProcess {
  // Creates the folder again if the executor removed it.
  privateFolder(runFolder);
  const stdout = new RunOutput(join(runFolder, "stdout"), outputLimitBytes, { continued: true });
  const stderr = openOrClose(
    stdout,
    () => new RunOutput(join(runFolder, "stderr"), outputLimitBytes, { continued: true }),
  );
  return {
    pid: identity.pid,
    startedAt: identity.startedAt,
    ageMs: ageOf(identity),
    exited: untilEnded(identity, runFolder),
    stdout,
    stderr,
    signalGroup(signal) {
      try {
        if (lives(identity)) process.kill(-identity.pid, signal);
      } catch {
        // The leader ended in between, or cannot be identified. The scan for leftovers follows.
      }
    },
    close() {
      stdout.close();
      stderr.close();
    },
  };
}

function openOrClose(first: RunOutput, open: () => RunOutput): RunOutput {
  try {
    return open();
  } catch (error) {
    first.close();
    throw error;
  }
}

/** Never throws. An age of 0 restarts every time-out of the run. */
function ageOf(identity: ProcessIdentity): number {
  try {
    return lives(identity) ? ageMsOf(identity.startedAt) : 0;
  } catch {
    return 0;
  }
}

function isKnownGone(identity: ProcessIdentity): boolean {
  try {
    return !lives(identity);
  } catch {
    return false;
  }
}

function untilEnded(identity: ProcessIdentity, runFolder: string): Promise<ExitStatus> {
  const statusFile = statusFileOf(runFolder);
  const { promise, resolve } = Promise.withResolvers<ExitStatus>();
  let watcher: FSWatcher | undefined;
  const check = (): void => {
    // Reads the status second: a process that is gone wrote its status before it ended.
    const isGone = isKnownGone(identity);
    const code = readStatus(statusFile);
    if (code === null && !isGone) return;
    clearInterval(timer);
    watcher?.close();
    resolve(code === null ? { code: null, signal: null } : statusOfCode(code));
  };
  const timer = setInterval(check, CHECK_EVERY_MS);
  try {
    watcher = watch(runFolder, check);
    watcher.on("error", () => {});
  } catch {
    // The machine has no file watches left: only the timer notices the end.
  }
  check();
  return promise;
}
