import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { placeOf, removeCgroup } from "../../src/process/run-cgroups.ts";

const PREFIX = "agent-runner.";

/** The cgroup of a run. */
export interface SeenCgroup {
  readonly path: string;
  readonly runId: string;
  readonly pids: readonly number[];
}

/** This process's cgroup of version 2; null if there is none, or if no cgroup can be created below it. */
export const ownCgroup: string | null = usableCgroup();

function usableCgroup(): string | null {
  if (process.platform !== "linux") return null;
  const own = placeOf(readFileSync("/proc/self/mountinfo", "utf8"), readFileSync("/proc/self/cgroup", "utf8"))?.own;
  const probe = join(own ?? "", `agent-runner-test-${process.pid}`);
  if (own === undefined || !Bun.spawnSync(["mkdir", probe], { stdout: "ignore", stderr: "ignore" }).success)
    return null;
  const canKill = existsSync(join(probe, "cgroup.kill"));
  rmdirSync(probe);
  return canKill ? own : null;
}

/** The cgroups of all runs of the runners whose locks are in `locksFolder`. */
export function cgroupsOf(locksFolder: string): SeenCgroup[] {
  if (ownCgroup === null || !existsSync(locksFolder)) return [];
  const owners = readdirSync(locksFolder).flatMap((name) =>
    name.endsWith(".lock") ? [`${PREFIX}${basename(name, ".lock")}.`] : [],
  );
  return readdirSync(ownCgroup).flatMap((name) => {
    const owner = owners.find((prefix) => name.startsWith(prefix));
    const path = join(ownCgroup ?? "", name);
    return owner === undefined ? [] : [{ path, runId: name.slice(owner.length), pids: pidsIn(path) }];
  });
}

function pidsIn(path: string): number[] {
  try {
    return readFileSync(join(path, "cgroup.procs"), "latin1").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Removes the cgroups that a killed runner left. Returns false while one of them holds a process. */
export function removeCgroups(cgroups: readonly SeenCgroup[]): boolean {
  return cgroups.map(({ path }) => removeCgroup(path)).every(Boolean);
}
