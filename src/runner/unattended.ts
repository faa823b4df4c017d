import { readdirSync } from "node:fs";
import { join } from "node:path";
import { lives, markedLeaders } from "../process/adopt.ts";
import { ageMsOf, readProcessTable } from "../process/process-table.ts";
import { readStatus } from "../process/shim.ts";
import { statusFileOf } from "../process/spawn.ts";
import { readRunRecord } from "./execution/run-record.ts";
import { type Holder, isHeld, readHolder } from "./identity-lock.ts";

/** An executor that lives without a runner. */
export interface UnattendedExecutor {
  readonly runId: string;
  /** The leader of its process group. */
  readonly pid: number;
  readonly ageMs: number;
  readonly projectDir: string | null;
  /** The runner that started or adopted it last; null if its lock was deleted. */
  readonly runner: Holder | null;
}

/**
 * The executors without a runner that are on record in the state folder, or in one of a runner whose lock is in
 * `locksFolder`.
 */
export async function unattendedExecutors(stateDir: string, locksFolder: string): Promise<UnattendedExecutor[]> {
  const leaders = markedLeaders(await readProcessTable());
  const stateDirs = new Set([stateDir, ...holdersIn(locksFolder).flatMap((holder) => holder.stateDir ?? [])]);
  return [...stateDirs].flatMap((folder) =>
    [...leaders].flatMap(([runId, leader]) => {
      const runFolder = join(folder, "runs", runId);
      const record = readRunRecord(runFolder);
      if (record === null || readStatus(statusFileOf(runFolder)) !== null) return [];
      if (isHeld(locksFolder, record.owner) || !lives(leader)) return [];
      const runner = readHolder(locksFolder, record.owner);
      const projectDir = record.assigned.projectDir ?? runner?.projectDir ?? null;
      return [{ runId, pid: leader.pid, ageMs: ageMsOf(leader.startedAt), projectDir, runner }];
    }),
  );
}

function holdersIn(locksFolder: string): Holder[] {
  try {
    const keys = readdirSync(locksFolder).flatMap((name) => /^(.*)\.lock$/.exec(name)?.[1] ?? []);
    return keys.flatMap((key) => readHolder(locksFolder, key) ?? []);
  } catch {
    return [];
  }
}
