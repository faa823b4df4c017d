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
 * Each run's folder has a copy of the journal's record, from just before the spawn until the report is acknowledged. A
 * damaged journal is rebuilt from these copies, so the executors, their tokens and the gateway's port are not lost. The
 * executor's activity has a file of its own, which changes while the executor runs; a truncated file is ignored.
 */
const RunRecord = v.object({
  /** The runner's identity: runners with different identities may share the state folder. */
  owner: v.string(),
  gatewayPort: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  token: v.pipe(v.string(), v.minLength(16)),
  assigned: AssignedEntry,
});

export type RunRecord = v.InferOutput<typeof RunRecord>;

/** Throws if the record cannot be written. */
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

/** The record of a run that a runner still has to account for; null if there is none. */
export function readRunRecord(runFolder: string): RunRecord | null {
  return readAs(RunRecord, recordFileOf(runFolder));
}

/** Returns a callback that records a run's activity, in the journal and in the run's folder: no event is sent twice. */
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
      // The file matters only if the journal is lost, too.
    }
  };
}

function activityFileOf(runFolder: string): string {
  return join(runFolder, "activity.json");
}

/** Removes the record of a run that is done. */
export function dropRunRecord(runFolder: string): void {
  try {
    rmSync(recordFileOf(runFolder), { force: true });
    rmSync(activityFileOf(runFolder), { force: true });
  } catch {
    // The next process of this runner asks the coordinator about the run, and drops the record.
  }
}

/** Adds the runs that only their folders know to the journal. There are none unless the journal was lost. */
export function rebuildJournal(journal: Journal, runsFolder: string, owner: string, log: Log): void {
  const done = new Set(journal.doneIds());
  const known = new Set(journal.unfinished(log).map(({ assigned }) => assigned.runId));
  let added = 0;
  for (const runFolder of foldersIn(runsFolder)) {
    const record = readRunRecord(runFolder);
    if (record === null || record.owner !== owner || known.has(record.assigned.runId)) continue;
    if (done.has(record.assigned.runId)) {
      dropRunRecord(runFolder);
      continue;
    }
    journal.starting({ ...record.assigned, prompt: "", parameters: {}, resolvedBlueprint: undefined }, record.token);
    journal.spawning(record.assigned.runId);
    const activity = readAs(ActivityEntry, activityFileOf(runFolder));
    if (activity !== null) journal.active(record.assigned.runId, activity);
    journal.gatewayPort ??= record.gatewayPort;
    added++;
  }
  if (added > 0) log.warn(`Added ${added} run(s) to the journal from their folders`);
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
