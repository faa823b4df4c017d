import { statfsSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from "node:os";

/** What the figures were taken on: they compare with others of the same machine only. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** The file system that state and runs lie on, by its number (`man statfs`). */
  readonly fileSystem: string;
  readonly bun: string;
  /** Of the last minute, when the measuring began: above 0.5 others were at work, and the figures are worse than the machine's. */
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
  return `${cores} cores of ${cpu}, ${memoryGiB} GiB, ${system}, ${fileSystem}, Bun ${bun}; load when it began: ${load}`;
}

function fileSystemOf(path: string): string {
  const { type } = statfsSync(path);
  return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}
