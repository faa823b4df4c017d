import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { Activity } from "../../gateway/grant.ts";
import type { Log } from "../../log.ts";
import { recordFileOf } from "../../process/run-folders.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import type { Journal } from "../journal/journal.ts";
import { ActivityEntry, AssignedEntry, assignedEntry } from "../journal/journal-entries.ts";
import type { RunnerParts } from "./runner-parts.ts";

/*
 * Beside the journal each run's own folder tells whose run it is, from just before the spawn until its end is acknowledged. A journal that
 * is damaged is made anew from these files: the executors, their tokens and the gateway's port are not lost with it. What an executor has
 * sent stands in a file of its own, which changes while it runs; one that is cut off is as good as none.
 */
const RunRecord = v.object({
  /** Names the runner's identity: runners of several may share the state folder. */
  owner: v.string(),
  gatewayPort: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  token: v.pipe(v.string(), v.minLength(16)),
  assigned: AssignedEntry,
});

/** Throws where it cannot be written. */
export function writeRunRecord(
  runFolder: string,
  owner: string,
  gatewayPort: number,
  token: string,
  assigned: AssignedRun,
): void {
  const record: v.InferInput<typeof RunRecord> = { owner, gatewayPort, token, assigned: assignedEntry(assigned) };
  writeFileSync(recordFileOf(runFolder), JSON.stringify(record), { mode: 0o600 });
}

/** Puts down what the run's executor has sent, in the journal and in the run's folder: nothing of it is to be sent a second time. */
export function activityRecorder(
  runId: string,
  { journal, runsFolder }: Pick<RunnerParts, "journal" | "runsFolder">,
): (activity: Activity) => void {
  const path = activityFileOf(join(runsFolder, runId));
  return (activity) => {
    journal.active(runId, activity);
    try {
      writeFileSync(path, JSON.stringify(activity), { mode: 0o600 });
    } catch {
      // It counts only if the journal is lost, too.
    }
  };
}

function activityFileOf(runFolder: string): string {
  return join(runFolder, "activity.json");
}

/** The run is through. */
export function dropRunRecord(runFolder: string): void {
  try {
    rmSync(recordFileOf(runFolder), { force: true });
    rmSync(activityFileOf(runFolder), { force: true });
  } catch {
    // The next start asks the coordinator about the run, and drops it then.
  }
}

/** Puts into the journal what the run folders know and it does not: those runs were spawned. Nothing, as long as it was never lost. */
export function rebuildJournal(journal: Journal, runsFolder: string, owner: string, log: Log): void {
  const through = new Set(journal.doneIds());
  const known = new Set(journal.unfinished(log).map(({ assigned }) => assigned.runId));
  let recovered = 0;
  for (const runFolder of foldersIn(runsFolder)) {
    const record = readAs(RunRecord, recordFileOf(runFolder));
    if (record === null || record.owner !== owner || known.has(record.assigned.runId)) continue;
    if (through.has(record.assigned.runId)) {
      dropRunRecord(runFolder);
      continue;
    }
    journal.starting({ ...record.assigned, prompt: "", parameters: {}, resolvedBlueprint: undefined }, record.token);
    journal.spawning(record.assigned.runId);
    const activity = readAs(ActivityEntry, activityFileOf(runFolder));
    if (activity !== null) journal.active(record.assigned.runId, activity);
    journal.gatewayPort ??= record.gatewayPort;
    recovered++;
  }
  if (recovered > 0) log.warn(`Found ${recovered} run(s) that the journal does not know by their folders`);
}

function readAs<S extends v.GenericSchema>(schema: S, path: string): v.InferOutput<S> | null {
  try {
    return v.parse(schema, JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}

function foldersIn(runsFolder: string): string[] {
  try {
    return readdirSync(runsFolder).map((name) => join(runsFolder, name));
  } catch {
    return [];
  }
}
