import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { Log } from "../log.ts";
import { recordFileOf } from "../process/run-folders.ts";
import type { AssignedRun } from "../protocol/poll.ts";
import { type Journal, withoutPrompt } from "./journal.ts";
import { AssignedEntry } from "./journal-entries.ts";

/*
 * Beside the journal each run's own folder tells whose run it is, from just before the spawn until its end is acknowledged. A journal that
 * is damaged is made anew from these files: the executors, their tokens and the gateway's port are not lost with it.
 */
const RunRecord = v.object({
  /** Names the runner's identity: runners of several may share the state folder. */
  owner: v.string(),
  gatewayPort: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  token: v.pipe(v.string(), v.minLength(16)),
  assigned: AssignedEntry,
});

/** Throws where it cannot be written. */
export function writeRunRecord(runFolder: string, owner: string, gatewayPort: number, token: string, assigned: AssignedRun): void {
  const record: v.InferOutput<typeof RunRecord> = { owner, gatewayPort, token, assigned: withoutPrompt(assigned) };
  writeFileSync(recordFileOf(runFolder), JSON.stringify(record), { mode: 0o600 });
}

/** The run is through. */
export function dropRunRecord(runFolder: string): void {
  try {
    rmSync(recordFileOf(runFolder), { force: true });
  } catch {
    // The next start asks the coordinator about the run, and drops it then.
  }
}

/** Puts into the journal what the run folders know and it does not: those runs were spawned. Nothing, as long as it was never lost. */
export function recoverJournal(journal: Journal, runsFolder: string, owner: string, log: Log): void {
  const through = new Set(journal.doneIds());
  const known = new Set(journal.unfinished(log).map(({ assigned }) => assigned.runId));
  let recovered = 0;
  for (const runFolder of foldersIn(runsFolder)) {
    const record = readRunRecord(runFolder);
    if (record === null || record.owner !== owner || known.has(record.assigned.runId)) continue;
    if (through.has(record.assigned.runId)) {
      dropRunRecord(runFolder);
      continue;
    }
    journal.starting({ ...record.assigned, prompt: "", parameters: {}, resolvedBlueprint: undefined }, record.token);
    journal.spawning(record.assigned.runId);
    journal.gatewayPort ??= record.gatewayPort;
    recovered++;
  }
  if (recovered > 0) log.warn(`Found ${recovered} run(s) that the journal does not know by their folders`);
}

function readRunRecord(runFolder: string): v.InferOutput<typeof RunRecord> | null {
  try {
    return v.parse(RunRecord, JSON.parse(readFileSync(recordFileOf(runFolder), "utf8")));
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
