import { statfsSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from "node:os";

/** The machine that produced the figures. Compare figures only with others from the same machine. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** The file system that holds state and run folders: its name, or its number from `man statfs`. */
  readonly fileSystem: string;
  readonly bun: string;
  /** The load average of the minute before the start. Above 0.5, other programs made the figures worse. */
  readonly load: number;
}

const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
]);

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${platform()} ${release()} ${arch()}`,
    fileSystem: fileSystemOf(tmpdir()),
    bun: Bun.version,
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

export function renderMachine({ cpu, cores, memoryGiB, system, fileSystem, bun, load }: Machine): string {
  return `${cores} cores of ${cpu}, ${memoryGiB} GiB, ${system}, ${fileSystem}, Bun ${bun}; load at start: ${load}`;
}

function fileSystemOf(path: string): string {
  const { type } = statfsSync(path);
  return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}
