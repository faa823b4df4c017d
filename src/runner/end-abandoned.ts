import { existsSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { Log } from "../log.ts";
import { lives, markedLeaders } from "../process/adopt.ts";
import { type LeftoverScope, Leftovers } from "../process/leftovers.ts";
import { readProcessTable } from "../process/process-table.ts";
import { RunCgroups } from "../process/run-cgroups.ts";
import { readStatus } from "../process/shim.ts";
import { statusFileOf } from "../process/spawn.ts";
import { rebuildJournal } from "./execution/run-record.ts";
import { GRACE_MS } from "./execution/supervise.ts";
import { lockKey, readHolder } from "./identity-lock.ts";
import { Journal } from "./journal/journal.ts";

/** A command that probes the lock holds it for a moment. */
const PROBE_MS = 1_000;

/** What a runner tells its watchdog about itself. */
export const AbandonedRunner = v.object({
  /** Of its identity (identity-lock.ts). */
  key: v.string(),
  locksFolder: v.string(),
  /** Without symbolic links. */
  stateDir: v.string(),
  keepBackground: v.boolean(),
  afterMs: v.number(),
});
export type AbandonedRunner = v.InferOutput<typeof AbandonedRunner>;

/** Not a run's id, which has no dot. */
export function watchdogMarker({ key, stateDir }: Pick<AbandonedRunner, "key" | "stateDir">): string {
  return `watchdog.${key}.${new Bun.CryptoHasher("sha256").update(stateDir).digest("hex").slice(0, 12)}`;
}

/**
 * Ends the executors of a runner that is dead and has no successor. Call in the watchdog process (watchdog.ts).
 * `runIds`: the runs that the runner last guarded. The reason is in the journal before the first signal, so the next
 * process of the runner reports it, and completes the end if it starts meanwhile.
 */
export async function endAbandoned(runner: AbandonedRunner, runIds: readonly string[], log: Log): Promise<void> {
  const { scopes, cgroups } = await decide(runner, runIds, log);
  const leftovers = new Leftovers(cgroups);
  await Promise.all(scopes.map((scope) => leftovers.end({ ...scope, graceMs: GRACE_MS }, { coalesce: false })));
}

interface Decision {
  readonly scopes: readonly Pick<LeftoverScope, "runId" | "leader">[];
  readonly cgroups: RunCgroups | null;
}

/** Holds the runner's lock: no runner of this identity can start before the decision is on record. */
async function decide(runner: AbandonedRunner, runIds: readonly string[], log: Log): Promise<Decision> {
  const { key, locksFolder, stateDir } = runner;
  const runsFolder = join(stateDir, "runs");
  using lock = lockKey(locksFolder, key, PROBE_MS);
  const table = await readProcessTable();
  // A later runner adopted all runs with a folder, or its own watchdog counts for them. One with another state folder
  // adopted nothing here.
  const isSucceeded =
    (lock === null && (readHolder(locksFolder, key)?.stateDir ?? stateDir) === stateDir) ||
    table.some(({ runId, pid }) => runId === watchdogMarker(runner) && pid !== process.pid);
  if (isSucceeded) {
    const lost = runIds.filter((runId) => !existsSync(join(runsFolder, runId)));
    return { scopes: lost.map((runId) => ({ runId, leader: null })), cgroups: null };
  }
  using journal = openJournal(runner, log);
  const records = new Map(journal?.unfinished(log).map((record) => [record.assigned.runId, record]));
  const leaders = markedLeaders(table);
  const scopes = [...new Set([...runIds, ...records.keys()])].flatMap((runId) => {
    if (journal?.isDone(runId) === true) return [];
    const record = records.get(runId);
    // Without a recorded pid, only the marker tells.
    const leader = record?.identity ?? leaders.get(runId) ?? null;
    const isExecuting = leader !== null && lives(leader) && readStatus(statusFileOf(join(runsFolder, runId))) === null;
    if (!isExecuting && runner.keepBackground) return [];
    if (isExecuting && record?.cancel === null)
      journal?.cancelled(runId, { kind: "abandoned", afterMs: runner.afterMs });
    return [{ runId, leader }];
  });
  return { scopes, cgroups: RunCgroups.open(key, log) };
}

/** Null if it cannot be opened; the watchdog knows the runs too. Creates nothing if the state folder was deleted. */
function openJournal({ key, stateDir }: AbandonedRunner, log: Log): Journal | null {
  if (!existsSync(stateDir)) return null;
  let journal: Journal | null = null;
  try {
    journal = Journal.open(join(stateDir, "journals", `${key}.sqlite`), log);
    rebuildJournal(journal, join(stateDir, "runs"), key, log);
  } catch {
    // A full disk, say.
  }
  return journal;
}
