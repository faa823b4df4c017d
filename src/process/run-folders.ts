import { existsSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { folderBytes } from "./folder-bytes.ts";
import { readProcessTable } from "./process-table.ts";
import { readStatus } from "./shim.ts";
import { statusFileOf } from "./spawn.ts";

/** The limits for run folders; 0 means no limit. */
export interface Retention {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly maxRuns: number;
}

/** A younger folder without a record may belong to a run that is being prepared. */
const PREPARING_MS = 86_400_000;
/** A runner that has not returned to its run for 30 days, while no process of the run lives, never will. */
const ABANDONED_MS = 30 * 86_400_000;

/** The runner's file in a run folder. It exists while a runner, dead or alive, still has to account for the run. */
export function recordFileOf(runFolder: string): string {
  return join(runFolder, "run.json");
}

/**
 * Removes the oldest folders beyond any limit, and returns their number. Keeps folders that this or another runner
 * may use.
 */
export async function pruneRunFolders(folder: string, { maxAgeMs, maxBytes, maxRuns }: Retention): Promise<number> {
  const now = Date.now();
  let kept = 0;
  let keptBytes = 0;
  let removed = 0;
  let live: ReadonlySet<string> | null = null;
  for (const { name, path, modifiedMs } of await runFolders(folder)) {
    const bytes = await folderBytes(path);
    const ageMs = now - modifiedMs;
    const exceedsLimit =
      (maxRuns > 0 && kept >= maxRuns) ||
      (maxBytes > 0 && keptBytes + bytes > maxBytes) ||
      (maxAgeMs > 0 && ageMs > maxAgeMs);
    if (exceedsLimit && !mayBeInUse(path, ageMs) && !(live ??= await liveRuns()).has(name)) {
      await rm(path, { recursive: true, force: true });
      removed++;
    } else {
      kept++;
      keptBytes += bytes;
    }
  }
  return removed;
}

function mayBeInUse(path: string, ageMs: number): boolean {
  if (existsSync(recordFileOf(path))) return ageMs < ABANDONED_MS;
  return readStatus(statusFileOf(path)) === null && ageMs < PREPARING_MS;
}

/** The ids of runs with live processes: leftovers may still write to the run folder. */
async function liveRuns(): Promise<ReadonlySet<string>> {
  return new Set((await readProcessTable()).flatMap(({ runId }) => (runId === null ? [] : [runId])));
}

/** Newest first, by the last write. */
async function runFolders(folder: string): Promise<{ name: string; path: string; modifiedMs: number }[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map(async ({ name }) => ({ name, path: join(folder, name), modifiedMs: await lastWriteMs(join(folder, name)) })),
  );
  return folders.toSorted((a, b) => b.modifiedMs - a.modifiedMs);
}

async function lastWriteMs(path: string): Promise<number> {
  const times = [path, join(path, "stdout"), join(path, "stderr")].map(async (name) => (await lstat(name)).mtimeMs);
  return Math.max(0, ...(await Promise.all(times.map((time) => time.catch(() => 0)))));
}
