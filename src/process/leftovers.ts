import { delay } from "../async/delay.ts";
import { type ProcessEntry, readProcessTable, signalProcess } from "./process-table.ts";
import { killCgroup, pidsInCgroup, removeCgroup, type RunCgroups } from "./run-cgroups.ts";

/**
 * What is to be ended: everything that carries the run's marker, is in the session of its leader or in the run's cgroup, or descends from one
 * of those.
 */
export interface LeftoverScope {
  readonly runId: string;
  /** The executor, which has ended or is ending; null if it is not known. */
  readonly leader: { readonly pid: number; readonly startedAt: string } | null;
  /** How long after the first signal SIGKILL follows; 0 for at once. */
  readonly graceMs: number;
  /** When SIGTERM was sent already (`performance.now()`), the grace counts from then. */
  readonly termedAtMs?: number;
}

/** `ended`: how many processes were found and are gone; `left`: pids that survived even SIGKILL for ten seconds. */
export interface LeftoversEnded {
  readonly ended: number;
  readonly left: readonly number[];
}

interface Target extends LeftoverScope {
  readonly seen: Set<string>;
  readonly signalled: Set<string>;
  /** When a process table that could not be read all the time counts as an empty one. */
  readonly blindUntilMs: number;
  /** The run's own; null when it is gone, or never was. */
  cgroup: string | null;
  killAtMs: number | undefined;
  /** When SIGKILL was first sent. It is given up from then on, not from the beginning: a runner that was suspended meanwhile has sent nothing. */
  killedAtMs: number | undefined;
  readonly done: PromiseWithResolvers<LeftoversEnded>;
}

const RESCAN_MS = 50;
const COALESCE_MS = 200;
const GIVE_UP_MS = 10_000;
const NOBODY: ReadonlySet<number> = new Set();

/**
 * Ends what runs left behind. All runs that wait for a look share one scan of the process table; a look for a normal end waits a
 * moment for others to join it (`coalesce`), one for a stop does not. What is left nothing of has no cgroup any more.
 */
export class Leftovers {
  readonly #cgroups: Pick<RunCgroups, "of"> | null;
  readonly #giveUpMs: number;
  readonly #targets = new Set<Target>();
  #loop: Promise<void> | undefined;
  #hurry = Promise.withResolvers<void>();

  constructor(
    cgroups: Pick<RunCgroups, "of"> | null = null,
    options: { readonly giveUpMs: number } = { giveUpMs: GIVE_UP_MS },
  ) {
    this.#cgroups = cgroups;
    this.#giveUpMs = options.giveUpMs;
  }

  /** Ends the leftovers and resolves when a scan finds none, or when it has given up. */
  end(of: LeftoverScope, options: { coalesce: boolean }): Promise<LeftoversEnded> {
    const target: Target = {
      ...of,
      seen: new Set(),
      signalled: new Set(),
      blindUntilMs: performance.now() + of.graceMs + this.#giveUpMs,
      cgroup: this.#cgroups?.of(of.runId) ?? null,
      killAtMs: of.termedAtMs === undefined ? undefined : of.termedAtMs + of.graceMs,
      killedAtMs: undefined,
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
      for (const target of targets)
        if (table !== null || performance.now() > target.blindUntilMs) this.#step(target, table ?? []);
      if (this.#targets.size > 0) await delay(RESCAN_MS);
    }
    this.#hurry = Promise.withResolvers();
    this.#loop = undefined;
  }

  #step(target: Target, table: readonly ProcessEntry[]): void {
    const now = performance.now();
    // The system refuses to remove one that a process is in: that nothing is left in it is certain then.
    if (target.cgroup !== null && removeCgroup(target.cgroup)) target.cgroup = null;
    // After the table was read: an entry that is in the cgroup now and has the start time that it had then is one and the same process.
    const leftovers = leftoversIn(table, target, target.cgroup === null ? undefined : pidsInCgroup(target.cgroup));
    for (const entry of leftovers) target.seen.add(nameOf(entry));
    const isNothingLeft = leftovers.length === 0 && target.cgroup === null;
    if (isNothingLeft || (target.killedAtMs !== undefined && now > target.killedAtMs + this.#giveUpMs)) {
      this.#targets.delete(target);
      target.done.resolve({ ended: target.seen.size - leftovers.length, left: leftovers.map((entry) => entry.pid) });
      return;
    }
    target.killAtMs ??= now + target.graceMs;
    const signal = now >= target.killAtMs ? "SIGKILL" : "SIGTERM";
    if (signal === "SIGKILL") target.killedAtMs ??= now;
    if (signal === "SIGKILL" && target.cgroup !== null) killCgroup(target.cgroup);
    for (const entry of leftovers) {
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
 * The processes of `table` that belong to the run, by marker, session (or group), cgroup (`members`) or parentage. This program itself never
 * does, nor do its other children because of it.
 */
export function leftoversIn(
  table: readonly ProcessEntry[],
  of: Pick<LeftoverScope, "runId" | "leader">,
  members: ReadonlySet<number> = NOBODY,
): ProcessEntry[] {
  const others = table.filter((entry) => entry.pid !== process.pid);
  // A number is not given to another process while a session bears it; one that leads it now and started later is somebody else.
  const isReused = others.some((entry) => entry.pid === of.leader?.pid && entry.startedAt !== of.leader.startedAt);
  const leaderPid = isReused ? undefined : of.leader?.pid;
  const found = new Map<number, ProcessEntry>();
  for (const entry of others) {
    if (entry.runId === of.runId || isLedBy(entry, leaderPid) || members.has(entry.pid)) found.set(entry.pid, entry);
  }
  for (let grew = found.size > 0; grew;) {
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
