import { describeError } from "../errors.ts";
import type { Log } from "../log.ts";
import { pruneRunFolders, type Retention } from "../process/run-folders.ts";

const EVERY_MS = 10 * 60_000;

/** Removes run folders beyond the limits now and every ten minutes, until disposed. */
export function keepRetention(runsFolder: string, retention: Retention, log: Log): Disposable {
  let isPruning = false;
  const prune = async (): Promise<void> => {
    if (isPruning) return;
    isPruning = true;
    try {
      const removed = await pruneRunFolders(runsFolder, retention);
      if (removed > 0) log.debug(`Removed ${removed} old run folder(s)`);
    } catch (error) {
      log.debug(`Could not prune the run folders: ${describeError(error)}`);
    } finally {
      isPruning = false;
    }
  };
  void prune();
  const timer = setInterval(() => void prune(), EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
