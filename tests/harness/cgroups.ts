import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { placeOf, removeCgroup } from "../../src/process/run-cgroups.ts";

const PREFIX = "agent-runner.";

/** A cgroup of a run. */
export interface SeenCgroup {
  readonly path: string;
  readonly runId: string;
  readonly pids: readonly number[];
}

/** This process's own cgroup of version 2; null where there is none, or where no other can be made below it. */
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

/** The cgroups of runs of those runners whose locks are in `locksFolder`. */
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

/** A runner that was killed and not started again leaves those of its runs. False while something lives in one. */
export function removeCgroups(cgroups: readonly SeenCgroup[]): boolean {
  return cgroups.map(({ path }) => removeCgroup(path)).every(Boolean);
}
