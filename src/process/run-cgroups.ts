import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import type { Log } from "../log.ts";

/*
 * Gives each run a cgroup (version 2) below the runner's own, if that one is writable. A process cannot leave its
 * cgroup by clearing its environment, by starting a session or by losing its parent. So the cgroup finds leftovers
 * that the other ways (leftovers.ts) miss. Without a cgroup (no Linux, read-only, another user's, a kernel before
 * 5.14) the other ways still work.
 *
 * Nothing is recorded: the cgroup's name consists of the runner's identity and the run, and the kernel knows its
 * members. The runner's next process finds the cgroups of earlier processes wherever they are, and removes the empty
 * ones.
 */
export class RunCgroups {
  readonly #prefix: string;
  readonly #base: string | null;
  readonly #log: Log;
  /** By run: cgroups of earlier processes of this runner that are not empty. Their base may be another one. */
  readonly #earlier = new Map<string, string>();

  private constructor(prefix: string, base: string | null, log: Log) {
    this.#prefix = prefix;
    this.#base = base;
    this.#log = log;
  }

  /** Removes the empty cgroups of `owner`, the identity of this runner; only one runner with it lives. Never throws. */
  static open(owner: string, log: Log): RunCgroups {
    const prefix = `agent-runner.${owner}.`;
    try {
      const { mount, own } = ownCgroup();
      const cgroups = new RunCgroups(prefix, writableBase(own, prefix, log), log);
      cgroups.#findEarlier(mount, own);
      return cgroups;
    } catch (error) {
      log.debug(`Runs get no cgroup: ${describeError(error)}`);
      return new RunCgroups(prefix, null, log);
    }
  }

  #findEarlier(mount: string, own: string): void {
    for (const path of cgroupsBelow(mount)) {
      const name = basename(path);
      // A runner that an executor started is in the cgroup of that run, and must not end itself.
      const isAround = `${own}/`.startsWith(`${path}/`);
      if (name.startsWith(this.#prefix) && !isAround && !removeCgroup(path))
        this.#earlier.set(name.slice(this.#prefix.length), path);
    }
  }

  /** Creates the run's cgroup; null if that is not possible. */
  make(runId: string): string | null {
    if (this.#base === null) return null;
    const path = join(this.#base, this.#prefix + runId);
    try {
      mkdirSync(path);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") {
        this.#log.debug(`Run ${runId} gets no cgroup: ${describeError(error)}`, { run: runId });
        return null;
      }
    }
    return path;
  }

  /** The path of the run's cgroup, which may not exist; null if runs get none. */
  of(runId: string): string | null {
    return this.#earlier.get(runId) ?? (this.#base === null ? null : join(this.#base, this.#prefix + runId));
  }

  /** Removes the run's cgroup if it is empty. */
  drop(runId: string): void {
    const path = this.of(runId);
    if (path !== null) removeCgroup(path);
  }

  /** Sends SIGKILL to every process in the run's cgroup. */
  kill(runId: string): void {
    const path = this.of(runId);
    if (path !== null) killCgroup(path);
  }
}

/** The pids in the cgroup and in the cgroups below it. */
export function pidsInCgroup(path: string): ReadonlySet<number> {
  const pids = new Set<number>();
  for (const folder of [path, ...foldersIn(path)]) {
    const inside = folder === path ? readProcs(path) : pidsInCgroup(folder);
    for (const pid of inside) pids.add(pid);
  }
  return pids;
}

/**
 * Returns false while the cgroup, or one below it, holds a process. Returns true on any other error: nothing helps
 * then.
 */
export function removeCgroup(path: string): boolean {
  const isBusy = (): boolean => {
    try {
      rmdirSync(path);
      return false;
    } catch (error) {
      return errorCode(error) === "EBUSY";
    }
  };
  if (!isBusy()) return true;
  const inside = foldersIn(path);
  return inside.length > 0 && inside.map(removeCgroup).every(Boolean) && !isBusy();
}

/** Sends SIGKILL to every process in the cgroup and below it, in one step that no fork escapes. */
export function killCgroup(path: string): void {
  try {
    writeFileSync(join(path, "cgroup.kill"), "1", { flag: "r+" });
  } catch {
    // The cgroup is gone, or no longer writable. The caller signals its processes one by one.
  }
}

function readProcs(path: string): number[] {
  try {
    return readFileSync(join(path, "cgroup.procs"), "latin1").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join(path, entry.name)] : [],
    );
  } catch {
    return [];
  }
}

function* cgroupsBelow(path: string): Generator<string> {
  for (const inside of foldersIn(path)) {
    // Yields first: the caller may remove the folder, which then has no folders below it.
    yield inside;
    yield* cgroupsBelow(inside);
  }
}

/** Throws if this process has no cgroup of version 2. */
function ownCgroup(): { readonly mount: string; readonly own: string } {
  if (process.platform !== "linux") throw new Error("only Linux has cgroups");
  const place = placeOf(readFileSync("/proc/self/mountinfo", "utf8"), readFileSync("/proc/self/cgroup", "utf8"));
  if (place === null) throw new Error("this process is in no mounted cgroup of version 2");
  return place;
}

/**
 * Finds a process's cgroup from its `/proc/PID/mountinfo` and `/proc/PID/cgroup`: the mount point of version 2
 * (mounts of version 1 may exist beside it) and the path of the cgroup in it. Null if the cgroup is not visible.
 */
export function placeOf(mountinfo: string, cgroup: string): { readonly mount: string; readonly own: string } | null {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  const line = mountinfo.split("\n").find((text) => / - cgroup2 /.test(text));
  const [, , , root, point] = line?.split(" ").map(unescapeOctal) ?? [];
  if (path === undefined || root === undefined || point === undefined || path.split("/").includes("..")) return null;
  const inMount = root === "/" ? path : path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : null;
  return inMount === null ? null : { mount: point, own: join(point, inMount).replace(/\/$/, "") };
}

/** mountinfo writes blanks and the like as `\040`. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * Returns `own` if cgroups for runs can be created below it. Creates one to find out: there is no other way to know.
 */
function writableBase(own: string, prefix: string, log: Log): string | null {
  const probe = join(own, `${prefix}probe-${process.pid}`);
  try {
    mkdirSync(probe);
    try {
      // Moving a process into another cgroup requires write access to the common ancestor too.
      for (const file of [join(own, "cgroup.procs"), join(probe, "cgroup.procs"), join(probe, "cgroup.kill")])
        accessSync(file, constants.W_OK);
      const type = readFileSync(join(probe, "cgroup.type"), "latin1").trim();
      if (type !== "domain") throw new Error(`a cgroup below ${own} takes no processes (its type is "${type}")`);
    } finally {
      rmdirSync(probe);
    }
    log.debug(`Each run gets a cgroup below ${own}`);
    return own;
  } catch (error) {
    log.debug(`Runs get no cgroup: ${describeError(error)}`);
    return null;
  }
}
