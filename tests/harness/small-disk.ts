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
    throw new Error("a tmpfs cannot be mounted here");
  }
  const unmount = (): void => {
    // Lazily: what is still open in it must not keep the test from ending.
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

/** Disks of a few MiB that a test can fill: only root on Linux may mount them, and not in every container. */
export const smallDisk = { isPossible: canMount(), mount };
