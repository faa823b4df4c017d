import { readdirSync, readFileSync } from "node:fs";
import { isWatchdog, parentOf } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { ENDS_WELL } from "./behaviour.ts";
import type { FaultWorld } from "./fault-world.ts";
import { inFaultWorld } from "./in-fault-world.ts";
import type { Verdict } from "./verdict.ts";

const BATCH = 50;
const BATCH_MS = 60_000;

/** The resources of the runner's process with nothing in flight. */
export interface Holdings {
  readonly residentMiB: number;
  readonly virtualMiB: number;
  readonly openFiles: number;
  readonly children: number;
}

/** `afterATenth` and `atTheEnd` are null if the trial did not get that far. */
export interface Soak extends Verdict {
  readonly afterATenth: Holdings | null;
  readonly atTheEnd: Holdings | null;
}

/**
 * The garbage collector moves memory up and down by about 30 MiB. A leak of 4 KiB per run exceeds this after 18,000
 * runs.
 */
const MEMORY_SLACK_MIB = 64;
const VIRTUAL_SLACK_MIB = 512;
/** Connections to the coordinator stay open for later calls: as many as there were concurrent calls. */
const FILES_SLACK = 32;

/**
 * Executes many short runs in batches, and compares the runner's resources at the end with those after a tenth
 * of the runs.
 */
export async function soak(options: {
  readonly runs: number;
  readonly onBatch?: (done: number) => void;
}): Promise<Soak> {
  let afterATenth: Holdings | null = null;
  let atTheEnd: Holdings | null = null;
  const verdict = await inFaultWorld(async (faults) => {
    faults.startRunner();
    for (let done = 0; done < options.runs; done += BATCH) {
      if (afterATenth === null && done >= options.runs / 10) afterATenth = await holdings(faults);
      await Promise.all(Array.from({ length: Math.min(BATCH, options.runs - done) }, () => faults.submit(ENDS_WELL)));
      await faults.ended(BATCH_MS, done);
      options.onBatch?.(done + BATCH);
    }
    atTheEnd = await holdings(faults);
  });
  const complaints = afterATenth === null || atTheEnd === null ? [] : growth(afterATenth, atTheEnd);
  return {
    ...verdict,
    leftBehind: verdict.leftBehind + complaints.length,
    complaints: [...complaints, ...verdict.complaints],
    afterATenth,
    atTheEnd,
  };
}

/** Reads the resources once the scans for leftovers are over. */
async function holdings({ runner }: FaultWorld): Promise<Holdings> {
  await until("the runner's children to end", () => childrenOf(runner.pid) === 0);
  await Bun.sleep(1_000);
  return readHoldings(runner.pid);
}

function readHoldings(pid: number): Holdings {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const mib = (field: string): number =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? Number.NaN) / 1024);
  return {
    residentMiB: mib("VmRSS"),
    virtualMiB: mib("VmSize"),
    openFiles: readdirSync(`/proc/${pid}/fd`).length,
    children: childrenOf(pid),
  };
}

/** Counts zombies too, but not the watchdog, which lives as long as the runner. */
function childrenOf(parent: number): number {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && parentOf(pid) === parent && !isWatchdog(pid)).length;
}

function growth(before: Holdings, after: Holdings): string[] {
  const check = (what: keyof Holdings, slack: number): string[] =>
    after[what] - before[what] > slack
      ? [`${what} grew from ${before[what]} after a tenth of the runs to ${after[what]}`]
      : [];
  return [
    ...check("residentMiB", MEMORY_SLACK_MIB),
    ...check("virtualMiB", VIRTUAL_SLACK_MIB),
    ...check("openFiles", FILES_SLACK),
    ...check("children", 0),
  ];
}
