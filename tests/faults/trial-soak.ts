import { readdirSync, readFileSync } from "node:fs";
import { parentOf } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { ENDS_WELL } from "./behaviour.ts";
import type { FaultWorld } from "./fault-world.ts";
import { inFaultWorld } from "./in-fault-world.ts";
import type { Verdict } from "./verdict.ts";

const BATCH = 50;
const BATCH_MS = 60_000;

/** What the runner's process holds at one moment, with nothing in flight. */
export interface Holdings {
  readonly residentMiB: number;
  readonly virtualMiB: number;
  readonly openFiles: number;
  readonly children: number;
}

/** Null: it did not come so far. */
export interface Soak extends Verdict {
  readonly afterATenth: Holdings | null;
  readonly atTheEnd: Holdings | null;
}

/** The collector works when it likes: memory goes up and down by some 30 MiB. A leak of 4 KiB a run would show over 18,000 runs. */
const MEMORY_SLACK_MIB = 64;
const VIRTUAL_SLACK_MIB = 512;
/** Connections to the coordinator are kept open for the next call: as many as there were calls at a time. */
const FILES_SLACK = 32;

/** So many short runs, one batch after the other; what the runner holds afterwards is held against what it held after a tenth of them. */
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

/** When the looks at what runs left behind are through. */
async function holdings({ runner }: FaultWorld): Promise<Holdings> {
  await until("the runner has no child any more", () => childrenOf(runner.pid) === 0);
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

/** Zombies too. */
function childrenOf(parent: number): number {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && parentOf(pid) === parent).length;
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
