import { mkdirSync } from "node:fs";

/** A small file system of its own in memory, at `path`; null, with the reason, where this user may not mount one. */
export function mountSmallDisk(path: string, mebibytes: number): { readonly disk: Disposable } | { readonly disk: null; readonly reason: string } {
  if (process.platform !== "linux") return { disk: null, reason: "only Linux mounts a tmpfs" };
  mkdirSync(path, { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${mebibytes}m,mode=0700`, "tmpfs", path], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) return { disk: null, reason: `mount: ${stderr.toString().trim()}` };
  return {
    disk: {
      [Symbol.dispose]() {
        // Lazily: a process that is just ending may still have a file open there.
        Bun.spawnSync(["umount", "-l", path], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
      },
    },
  };
}
