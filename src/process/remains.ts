import { delay } from "../async/delay.ts";
import { type ProcessEntry, readProcessTable, signalProcess } from "./process-table.ts";

/** What is to be ended: everything that carries the run's marker, is in the group of its leader, or descends from one of those. */
export interface RemainsOf {
  readonly runId: string;
  /** The executor, which has ended or is ending; null if it is not known. */
  readonly leader: { readonly pid: number; readonly startedAt: string } | null;
  /** How long after the first signal SIGKILL follows; 0 for at once. */
  readonly graceMs: number;
  /** When SIGTERM was sent already (`performance.now()`), the grace counts from then. */
  readonly termedAtMs?: number;
}

/** `ended`: how many processes were found and are gone; `left`: pids that survived even SIGKILL for ten seconds. */
export interface RemainsEnded {
  readonly ended: number;
  readonly left: readonly number[];
}

interface Target extends RemainsOf {
  readonly seen: Set<string>;
  readonly signalled: Set<string>;
  readonly deadlineMs: number;
  killAtMs: number | undefined;
  readonly done: PromiseWithResolvers<RemainsEnded>;
}

const RESCAN_MS = 50;
const COALESCE_MS = 200;
const GIVE_UP_MS = 10_000;

/**
 * Ends what runs left behind. All runs that wait for a look share one scan of the process table; a look for a normal end waits a
 * moment for others to join it (`coalesce`), one for a stop does not.
 */
export class Remains {
  readonly #targets = new Set<Target>();
  #loop: Promise<void> | undefined;
  #hurry = Promise.withResolvers<void>();

  /** Ends the remains and resolves when a scan finds none, or when it has given up. */
  end(of: RemainsOf, options: { coalesce: boolean }): Promise<RemainsEnded> {
    const target: Target = {
      ...of,
      seen: new Set(),
      signalled: new Set(),
      deadlineMs: performance.now() + of.graceMs + GIVE_UP_MS,
      killAtMs: of.termedAtMs === undefined ? undefined : of.termedAtMs + of.graceMs,
      done: Promise.withResolvers(),
    };
    this.#targets.add(target);
    if (!options.coalesce) this.#hurry.resolve();
    this.#loop ??= this.#run();
    return target.done.promise;
  }

  /** Resolves when no look is outstanding. */
  async settled(): Promise<void> {
    this.#hurry.resolve();
    await this.#loop;
  }

  async #run(): Promise<void> {
    await Promise.race([delay(COALESCE_MS), this.#hurry.promise]);
    while (this.#targets.size > 0) {
      const targets = [...this.#targets];
      // A table that cannot be read (no descriptors left, say) is a look that found nothing out: the next one may.
      const table = await readProcessTable().catch(() => null);
      for (const target of targets) if (table !== null || performance.now() > target.deadlineMs) this.#step(target, remainsIn(table ?? [], target));
      if (this.#targets.size > 0) await delay(RESCAN_MS);
    }
    this.#hurry = Promise.withResolvers();
    this.#loop = undefined;
  }

  #step(target: Target, remains: readonly ProcessEntry[]): void {
    const now = performance.now();
    for (const entry of remains) target.seen.add(nameOf(entry));
    if (remains.length === 0 || now > target.deadlineMs) {
      this.#targets.delete(target);
      target.done.resolve({ ended: target.seen.size - remains.length, left: remains.map((entry) => entry.pid) });
      return;
    }
    target.killAtMs ??= now + target.graceMs;
    const signal = now >= target.killAtMs ? "SIGKILL" : "SIGTERM";
    for (const entry of remains) {
      const name = `${nameOf(entry)} ${signal}`;
      if (signal === "SIGTERM" && target.signalled.has(name)) continue;
      target.signalled.add(name);
      signalProcess(entry, signal);
    }
  }
}

function nameOf(entry: ProcessEntry): string {
  return `${entry.pid} ${entry.startedAt}`;
}

/**
 * The processes of `table` that belong to the run, by marker, session (or group) or parentage. This program itself never does, nor
 * do its other children because of it.
 */
export function remainsIn(table: readonly ProcessEntry[], of: Pick<RemainsOf, "runId" | "leader">): ProcessEntry[] {
  const others = table.filter((entry) => entry.pid !== process.pid);
  // A number is not given to another process while a session bears it; one that leads it now and started later is somebody else.
  const isReused = others.some((entry) => entry.pid === of.leader?.pid && entry.startedAt !== of.leader.startedAt);
  const leaderPid = isReused ? undefined : of.leader?.pid;
  const found = new Map<number, ProcessEntry>();
  for (const entry of others) {
    if (entry.runId === of.runId || isLedBy(entry, leaderPid)) found.set(entry.pid, entry);
  }
  for (let grew = found.size > 0; grew; ) {
    grew = false;
    for (const entry of others) {
      if (found.has(entry.ppid) && !found.has(entry.pid)) {
        found.set(entry.pid, entry);
        grew = true;
      }
    }
  }
  return [...found.values()];
}

/**
 * In the leader's session, in whichever group, without a marker of its own (it cleared its environment); by its group where the
 * system does not tell sessions.
 */
function isLedBy(entry: ProcessEntry, leaderPid: number | undefined): boolean {
  return entry.runId === null && leaderPid !== undefined && (entry.session ?? entry.group) === leaderPid;
}
