import { delay } from "../async/delay.ts";
import { type ProcessEntry, readProcessTable, signalProcess } from "./process-table.ts";
import { killCgroup, pidsInCgroup, removeCgroup, type RunCgroups } from "./run-cgroups.ts";

/**
 * The run whose leftovers are ended, and how. A leftover carries the run's marker, or is in its leader's session or in
 * its cgroup. Descendants of a leftover are leftovers too.
 */
export interface LeftoverScope {
  readonly runId: string;
  /** The executor, which has ended or is ending; null if unknown. */
  readonly leader: { readonly pid: number; readonly startedAt: string } | null;
  /** Time between the first signal and SIGKILL; 0 sends SIGKILL at once. */
  readonly graceMs: number;
  /** When SIGTERM was sent, if it was (`performance.now()`): the grace period counts from then. */
  readonly termedAtMs?: number;
}

/** `ended`: how many leftovers were found and are gone. `left`: the pids that survived SIGKILL for ten seconds. */
export interface LeftoversEnded {
  readonly ended: number;
  readonly left: readonly number[];
}

interface Target extends LeftoverScope {
  readonly seen: Set<string>;
  readonly signalled: Set<string>;
  /** A process table that is still unreadable at this time counts as empty. */
  readonly blindUntilMs: number;
  /** Null once the cgroup is removed, or if the run never had one. */
  cgroup: string | null;
  killAtMs: number | undefined;
  /**
   * When SIGKILL was first sent. The time to give up counts from here, not from the first scan: a runner that was
   * suspended in between has sent no signal yet.
   */
  killedAtMs: number | undefined;
  readonly done: PromiseWithResolvers<LeftoversEnded>;
}

const RESCAN_MS = 50;
const COALESCE_MS = 200;
const GIVE_UP_MS = 10_000;
const NOBODY: ReadonlySet<number> = new Set();

/**
 * Ends the leftovers of runs. All waiting runs share each scan of the process table. After a normal end the scan
 * waits a moment for other runs to join (`coalesce`); for a stop it does not. A run without leftovers has had its
 * cgroup removed.
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

  /** Resolves when a scan finds no leftovers, or ten seconds after SIGKILL. */
  end(scope: LeftoverScope, options: { coalesce: boolean }): Promise<LeftoversEnded> {
    const target: Target = {
      ...scope,
      seen: new Set(),
      signalled: new Set(),
      blindUntilMs: performance.now() + scope.graceMs + this.#giveUpMs,
      cgroup: this.#cgroups?.of(scope.runId) ?? null,
      killAtMs: scope.termedAtMs === undefined ? undefined : scope.termedAtMs + scope.graceMs,
      killedAtMs: undefined,
      done: Promise.withResolvers(),
    };
    this.#targets.add(target);
    if (!options.coalesce) this.#hurry.resolve();
    this.#loop ??= this.#run();
    return target.done.promise;
  }

  /** Resolves when no run waits for a scan. */
  async settled(): Promise<void> {
    this.#hurry.resolve();
    await this.#loop;
  }

  async #run(): Promise<void> {
    await Promise.race([delay(COALESCE_MS), this.#hurry.promise]);
    while (this.#targets.size > 0) {
      const targets = [...this.#targets];
      // An unreadable table (no descriptors left, say) proves nothing: the next scan may succeed.
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
    // The kernel removes no cgroup with a process in it: after the removal it certainly holds no leftover.
    if (target.cgroup !== null && removeCgroup(target.cgroup)) target.cgroup = null;
    // The cgroup is read after the table. A pid that was reused in between has another start time, and gets no signal.
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
 * The processes of `table` that belong to the run by marker, session (or group), cgroup (`members`) or descent. This
 * program is never among them, so descent from it counts for nothing.
 */
export function leftoversIn(
  table: readonly ProcessEntry[],
  { runId, leader }: Pick<LeftoverScope, "runId" | "leader">,
  members: ReadonlySet<number> = NOBODY,
): ProcessEntry[] {
  const others = table.filter((entry) => entry.pid !== process.pid);
  // A pid is not reused while a session carries it. So a process with the leader's pid and another start time proves
  // that the leader's session is gone: this session is somebody else's.
  const isReused = others.some((entry) => entry.pid === leader?.pid && entry.startedAt !== leader.startedAt);
  const leaderPid = isReused ? undefined : leader?.pid;
  const found = new Map<number, ProcessEntry>();
  for (const entry of others) {
    if (entry.runId === runId || isLedBy(entry, leaderPid) || members.has(entry.pid)) found.set(entry.pid, entry);
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
 * Whether the process is in the leader's session and has no marker, because it cleared its environment. Compares the
 * group where the system does not report sessions.
 */
function isLedBy(entry: ProcessEntry, leaderPid: number | undefined): boolean {
  return entry.runId === null && leaderPid !== undefined && (entry.session ?? entry.group) === leaderPid;
}
