import { type FSWatcher, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { privateFolder } from "./private-folder.ts";
import { ageMsOf, processStartTime } from "./process-table.ts";
import { RunOutput } from "./run-output.ts";
import { type ExitStatus, readStatus, statusOfCode } from "./shim.ts";
import { type ExecutorProcess, statusFileOf } from "./spawn.ts";

/** Names a process for good: a pid alone is given to others in time, and starts count from the machine's own start. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  readonly bootId: string;
}

const LOOK_EVERY_MS = 250;

let knownBootId: string | undefined;

/** Which start of the machine this is. */
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

/** Whether that very process lives. Throws where the machine cannot tell. */
export function lives(identity: ProcessIdentity): boolean {
  return (
    identity.startedAt !== "" && identity.bootId === bootId() && processStartTime(identity.pid) === identity.startedAt
  );
}

/**
 * The executor that an earlier start of the runner began, as if it were our own. Its end is seen in its status file, at once, or by its
 * disappearance, within a quarter of a second; where it vanished without a status, both halves of the exit status are null. Throws where
 * the run's files cannot be opened.
 */
export function adoptExecutor(identity: ProcessIdentity, runFolder: string, outputLimitBytes: number): ExecutorProcess {
  // The executor may have removed its folder.
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
        // It ended between the two, or could not be told from another: what is left of it is looked for after this.
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

/** Nothing may go wrong over it: with an age of 0 all its time-outs begin anew. */
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
  const look = (): void => {
    // In this order: a process that is gone has written its status before.
    const isGone = isKnownGone(identity);
    const code = readStatus(statusFile);
    if (code === null && !isGone) return;
    clearInterval(timer);
    watcher?.close();
    resolve(code === null ? { code: null, signal: null } : statusOfCode(code));
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  try {
    watcher = watch(runFolder, look);
    watcher.on("error", () => {});
  } catch {
    // No watches left on this machine: the timer alone sees it.
  }
  look();
  return promise;
}
