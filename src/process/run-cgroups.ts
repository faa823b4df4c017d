import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describeError, errorCode } from "../errors.ts";
import type { Log } from "../log.ts";

/*
 * Where this runner's own cgroup (version 2) can be written, each run gets one below it. A process cannot leave it by clearing its
 * environment, by a session of its own or by losing its parent, so it finds what the other ways (leftovers.ts) do not. It comes on top of them:
 * where there is no cgroup to be had (no Linux, read-only, another user's, a kernel before 5.14) nothing is lost but that.
 *
 * Its name is made of the runner's identity and the run, and what is in it the kernel knows: nothing has to be on record. The next start
 * finds those of an earlier one wherever they are, and removes those that are empty.
 */
export class RunCgroups {
  readonly #prefix: string;
  readonly #base: string | null;
  readonly #log: Log;
  /** Those of earlier starts that are not empty, by run; theirs was perhaps another base. */
  readonly #earlier = new Map<string, string>();

  private constructor(prefix: string, base: string | null, log: Log) {
    this.#prefix = prefix;
    this.#base = base;
    this.#log = log;
  }

  /** `owner` names the runner's identity, of which one runner lives: its cgroups that are empty are removed. Never throws. */
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
      // A runner that an executor started is in the cgroup of that run, and does not end itself.
      const isAround = `${own}/`.startsWith(`${path}/`);
      if (name.startsWith(this.#prefix) && !isAround && !removeCgroup(path))
        this.#earlier.set(name.slice(this.#prefix.length), path);
    }
  }

  /** Makes the run's cgroup; null where there is none to be had. */
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

  /** Where the run's cgroup is, if it has one; null if it has none. */
  of(runId: string): string | null {
    return this.#earlier.get(runId) ?? (this.#base === null ? null : join(this.#base, this.#prefix + runId));
  }

  /** Removes the run's cgroup if nothing is in it. */
  drop(runId: string): void {
    const path = this.of(runId);
    if (path !== null) removeCgroup(path);
  }

  /** SIGKILL to all that is in the run's cgroup. */
  kill(runId: string): void {
    const path = this.of(runId);
    if (path !== null) killCgroup(path);
  }
}

/** The pids in the cgroup, and in those that were made below it. */
export function pidsInCgroup(path: string): ReadonlySet<number> {
  const pids = new Set<number>();
  for (const folder of [path, ...foldersIn(path)]) {
    const inside = folder === path ? readProcs(path) : pidsInCgroup(folder);
    for (const pid of inside) pids.add(pid);
  }
  return pids;
}

/** False while a process is in it or below it. A cgroup that cannot be removed for another reason is one that nothing more can be done about. */
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

/** SIGKILL to all that is in it and below it, in one step that no fork escapes. */
export function killCgroup(path: string): void {
  try {
    writeFileSync(join(path, "cgroup.kill"), "1", { flag: "r+" });
  } catch {
    // It is gone, or may not be written any more: what is in it is signalled one by one.
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
    // Before the look into it, which finds nothing if it was removed.
    yield inside;
    yield* cgroupsBelow(inside);
  }
}

/** Throws where there is none. */
function ownCgroup(): { readonly mount: string; readonly own: string } {
  if (process.platform !== "linux") throw new Error("only Linux has them");
  const place = placeOf(readFileSync("/proc/self/mountinfo", "utf8"), readFileSync("/proc/self/cgroup", "utf8"));
  if (place === null) throw new Error("no cgroup of version 2 is mounted that this process is in");
  return place;
}

/**
 * Where the process with this `/proc/PID/cgroup` is, as this `/proc/PID/mountinfo` shows it: the mount of version 2 (which may stand beside those
 * of version 1) and its own cgroup in it. Null where it is not to be seen.
 */
export function placeOf(mountinfo: string, cgroup: string): { readonly mount: string; readonly own: string } | null {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  const line = mountinfo.split("\n").find((text) => / - cgroup2 /.test(text));
  const [, , , root, point] = line?.split(" ").map(unescapeOctal) ?? [];
  if (path === undefined || root === undefined || point === undefined || path.split("/").includes("..")) return null;
  const inMount = root === "/" ? path : path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : null;
  return inMount === null ? null : { mount: point, own: join(point, inMount).replace(/\/$/, "") };
}

/** Blanks and the like stand as `\040` there. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The runner's own cgroup, if runs can have theirs below it: tried, for there is no other way to know. */
function writableBase(own: string, prefix: string, log: Log): string | null {
  const probe = join(own, `${prefix}probe-${process.pid}`);
  try {
    mkdirSync(probe);
    try {
      // Who moves a process into another cgroup has to be allowed to write here, too.
      for (const file of [join(own, "cgroup.procs"), join(probe, "cgroup.procs"), join(probe, "cgroup.kill")])
        accessSync(file, constants.W_OK);
      const type = readFileSync(join(probe, "cgroup.type"), "latin1").trim();
      if (type !== "domain") throw new Error(`one below ${own} takes no processes (its type is "${type}")`);
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
