import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endIfAbandoned } from "./abandon.ts";

export interface SmallDisk extends Disposable {
  readonly path: string;
}

function mount(sizeMiB: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "agent-runner-disk-"));
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${sizeMiB}m,mode=700`, "none", path], {
    stdout: "ignore",
    stderr: "ignore",
  });
  if (!mounted.success) {
    rmSync(path, { recursive: true });
    throw new Error("cannot mount a tmpfs");
  }
  const unmount = (): void => {
    // Unmounts lazily, so that an open file does not fail the unmount.
    Bun.spawnSync(["umount", "-l", path], { stdout: "ignore", stderr: "ignore" });
    rmSync(path, { recursive: true, force: true });
  };
  const abandoned = endIfAbandoned(unmount);
  return {
    path,
    [Symbol.dispose]() {
      abandoned[Symbol.dispose]();
      unmount();
    },
  };
}

function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    mount(1)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

/** Mounts disks of a few MiB that a test can fill. Only root on Linux can mount them, and not in every container. */
export const smallDisk = { isPossible: canMount(), mount };
